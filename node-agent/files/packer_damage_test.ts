import assert from "node:assert/strict";
import type { FileEntry } from "@kedge/schema/change";
import {
  damageRecord,
  records,
  repair,
  segments,
  withStore,
} from "./packer_fixture.ts";
import { scanSegment } from "./segments.ts";
import { someBytes, withDir } from "./store_fixture.ts";

Deno.test("a damaged record is found, kept, never served, and repaired", async () => {
  await withDir(async (dir) => {
    await withStore(dir, { segmentBytes: 10_000 }, async (store) => {
      const files: FileEntry[] = [];
      for (let seed = 1; seed <= 4; seed++) {
        files.push(await store.upload(someBytes(4000, seed)));
        await store.store.settle(0);
      }
      const [bad, first, second, good] = files;
      assert(bad !== undefined && good !== undefined);
      assert(first !== undefined && second !== undefined);
      damageRecord(dir, bad);
      for (const file of [first, second]) await store.delete(file);
      // Its segment is nearly empty, but it holds the only copy of it.
      await store.store.settle(0);
      assert.equal(segments(dir).length, 2);
      assert.deepEqual(records(dir).live, [bad.id, good.id]);
      assert.deepEqual(
        (await store.store.log.damaged(9)).map(({ id }) => id),
        [bad.id],
      );
      await assert.rejects(store.read(bad), /damaged|missing or wrong/);
      const repaired: string[] = [];
      const scrubber = store.store.scrubber({
        bytesPerS: 0,
        repair: async (id) => {
          repaired.push(id);
          await repair(store, bad, someBytes(4000, 1));
          return true;
        },
      });
      const found = await scrubber.run(new AbortController().signal);
      assert.equal(found?.checkedBytes, 8000);
      assert.deepEqual(repaired, [bad.id]);
      assert.deepEqual(await store.read(bad), someBytes(4000, 1));
      // The old record is needed no more, before anything is packed.
      assert(records(dir).dead.includes(bad.id));
      await store.store.settle(0);
      assert.equal(segments(dir).length, 1);
      assert.deepEqual(await store.read(bad), someBytes(4000, 1));
      assert.deepEqual(await store.read(good), someBytes(4000, 4));
      assert.deepEqual(await store.store.log.damaged(9), []);
    });
  });
});

Deno.test("a read finds a damaged record and marks the file", async () => {
  await withDir(async (dir) => {
    await withStore(dir, {}, async (store) => {
      const file = await store.upload(someBytes(4000, 1));
      await store.store.settle(0);
      damageRecord(dir, file);
      await assert.rejects(store.read(file), /missing or wrong/);
      await store.store.log.flush(); // behind the mark
      const damaged = await store.store.log.damaged(9);
      assert.deepEqual(damaged.map(({ id }) => id), [file.id]);
      for (const path of segments(dir)) await Deno.remove(path);
      await repair(store, file, someBytes(4000, 1));
      await store.store.settle(0);
      assert.deepEqual(await store.read(file), someBytes(4000, 1));
    });
  });
});

Deno.test("what was moved out of a segment that stays is dead there", async () => {
  await withDir(async (dir) => {
    await withStore(dir, { segmentBytes: 10_000 }, async (store) => {
      const files: FileEntry[] = [];
      for (const length of [1000, 2000, 8000, 4000]) {
        files.push(await store.upload(someBytes(length)));
        await store.store.settle(0);
      }
      const [bad, moved, gone] = files;
      assert(bad !== undefined && moved !== undefined && gone !== undefined);
      damageRecord(dir, bad);
      await store.delete(gone);
      await store.store.settle(0);
      const [first] = segments(dir);
      assert(first !== undefined);
      const found = [...scanSegment(first)];
      assert.deepEqual(
        found.map(({ id, isLive }) => [id, isLive]),
        [[bad.id, true], [moved.id, false], [gone.id, false]],
      );
      assert.deepEqual(await store.read(moved), someBytes(2000));
    });
  });
});
