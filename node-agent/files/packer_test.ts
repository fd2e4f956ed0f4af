import assert from "node:assert/strict";
import type { FileEntry } from "@kedge/schema/change";
import { hasOwnFile, records, segments, withStore } from "./packer_fixture.ts";
import { someBytes, withDir } from "./store_fixture.ts";

Deno.test("small files wait in the database, then share a segment", async () => {
  await withDir(async (dir) => {
    const files = await withStore(dir, {}, async (store) => {
      const small = await store.upload(someBytes(4000, 1));
      const other = await store.upload(someBytes(8192, 2));
      const large = await store.upload(someBytes(8193, 3));
      const appender = await store.upload(someBytes(100, 4), {
        appender: true,
      });
      const empty = await store.upload(new Uint8Array(0));
      const all = [small, other, large, appender, empty];
      for (const { id } of [small, other]) {
        assert(!hasOwnFile(dir, { id } as FileEntry));
      }
      for (const file of [large, appender, empty]) {
        assert(hasOwnFile(dir, file));
      }
      assert.deepEqual(await store.read(small), someBytes(4000, 1));
      await store.store.settle(0);
      assert.deepEqual(await store.read(small), someBytes(4000, 1));
      const span = { from: 8000, lengthBytes: 100 };
      assert.deepEqual(
        await store.read(other, span),
        someBytes(8192, 2).subarray(8000, 8100),
      );
      assert.deepEqual(records(dir).live, [small.id, other.id]);
      return all;
    });
    // Turned off: what is packed stays readable, and nothing is packed any more.
    await withStore(dir, { smallFileMax: 0 }, async (store) => {
      const [small, other] = files;
      assert(small !== undefined && other !== undefined);
      assert.deepEqual(await store.read(small), someBytes(4000, 1));
      const plain = await store.upload(someBytes(10, 9));
      assert(hasOwnFile(dir, plain));
      await store.delete(small);
      await store.store.settle(0);
      await assert.rejects(store.read(small), /deleted/);
      assert.deepEqual(await store.read(other), someBytes(8192, 2));
      assert.deepEqual(records(dir).dead, [small.id]);
    });
  });
});

Deno.test("a start finds small files that were not packed yet", async () => {
  await withDir(async (dir) => {
    const file = await withStore(
      dir,
      {},
      (store) => store.upload(someBytes(50, 1)),
    );
    await withStore(dir, {}, async (store) => {
      assert.deepEqual(await store.read(file), someBytes(50, 1));
      await store.store.settle(0);
      assert.deepEqual(await store.read(file), someBytes(50, 1));
      assert(!hasOwnFile(dir, file));
    });
    await withStore(dir, { smallFileMax: 0 }, async (store) => {
      assert.deepEqual(await store.read(file), someBytes(50, 1));
    });
  });
});

Deno.test("what waits when packing is turned off becomes a file", async () => {
  await withDir(async (dir) => {
    const file = await withStore(
      dir,
      {},
      (store) => store.upload(someBytes(50, 1)),
    );
    await withStore(dir, { smallFileMax: 0 }, async (store) => {
      assert.deepEqual(await store.read(file), someBytes(50, 1));
      assert(hasOwnFile(dir, file));
    });
  });
});

Deno.test("a file that is deleted before it settles is never packed", async () => {
  await withDir(async (dir) => {
    await withStore(dir, {}, async (store) => {
      const gone = await store.upload(someBytes(50, 1));
      await store.delete(gone);
      await store.store.settle(0);
      assert.deepEqual(segments(dir), []);
    });
  });
});

Deno.test("compaction moves what is needed and removes the segment", async () => {
  await withDir(async (dir) => {
    await withStore(dir, { segmentBytes: 20_000 }, async (store) => {
      const files: { file: FileEntry; bytes: Uint8Array }[] = [];
      for (let seed = 1; seed <= 12; seed++) {
        const bytes = someBytes(4000, seed);
        files.push({ file: await store.upload(bytes), bytes });
        await store.store.settle(0);
      }
      assert.equal(segments(dir).length, 3);
      for (const { file } of files.slice(0, 4)) await store.delete(file);
      await store.store.settle(0);
      assert.equal(segments(dir).length, 2);
      assert.deepEqual(records(dir).dead, []);
      for (const { file, bytes } of files.slice(4)) {
        assert.deepEqual(await store.read(file), bytes);
      }
      assert.deepEqual(
        records(dir).live.sort(),
        files.slice(4).map(({ file }) => file.id).sort(),
      );
    });
  });
});

Deno.test("packing is turned on and off while the store runs", async () => {
  await withDir(async (dir) => {
    const options = { smallFileMax: 0 };
    const ids = await withStore(dir, options, async (store) => {
      const before = await store.upload(someBytes(1000, 1));
      assert(hasOwnFile(dir, before));
      await store.store.pack(2000);
      const small = await store.upload(someBytes(2000, 2));
      const large = await store.upload(someBytes(2001, 3));
      assert(!hasOwnFile(dir, small) && hasOwnFile(dir, large));
      assert.deepEqual(await store.read(small), someBytes(2000, 2));
      await store.store.settle(0);
      assert.deepEqual(records(dir).live, [small.id]);
      assert.deepEqual(await store.read(small), someBytes(2000, 2));

      await store.store.pack(3000);
      const larger = await store.upload(someBytes(3000, 4));
      await store.store.pack(0);
      const after = await store.upload(someBytes(10, 5));
      assert(hasOwnFile(dir, after));
      await store.store.settle(0);
      // What waited is packed; what is stored stays as it is.
      assert.deepEqual(records(dir).live, [small.id, larger.id]);
      assert(hasOwnFile(dir, before));
      await store.delete(small);
      await store.store.settle(0);
      assert.deepEqual(records(dir).dead, [small.id]);
      return { before, larger };
    });
    await withStore(dir, options, async (store) => {
      assert.deepEqual(await store.read(ids.before), someBytes(1000, 1));
      assert.deepEqual(await store.read(ids.larger), someBytes(3000, 4));
      const found = await store.store.scrubber({
        bytesPerS: 0,
        repair: () => Promise.resolve(false),
      }).run(new AbortController().signal);
      assert.equal(found?.damaged, 0);
    });
  });
});

Deno.test("readers that were open see files that are packed for the first time", async () => {
  await withDir(async (dir) => {
    await withStore(dir, { smallFileMax: 0 }, async (store) => {
      const scrubber = store.store.scrubber({
        bytesPerS: 0,
        repair: () => Promise.resolve(false),
      });
      await store.store.pack(2000);
      const file = await store.upload(someBytes(2000, 2));
      await store.store.settle(0);
      const found = await scrubber.run(new AbortController().signal);
      assert.equal(found?.damaged, 0);
      assert.equal(found?.checkedBytes, 2000);
      assert.deepEqual(await store.read(file), someBytes(2000, 2));
    });
  });
});
