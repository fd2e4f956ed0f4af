import assert from "node:assert/strict";
import type { FileEntry } from "@kedge/schema/change";
import { records, segments, withStore } from "./packer_fixture.ts";
import { someBytes, withDir } from "./store_fixture.ts";

Deno.test("records that an older database does not know are kept", async () => {
  await withDir(async (dir) => {
    const upload = (seed: number) =>
      withStore(dir, {}, async (store) => {
        const entry = await store.upload(someBytes(1000, seed));
        await store.store.settle(0);
        return entry;
      });
    const first = await upload(1);
    await Deno.mkdir(`${dir}/copy`);
    for (const { name } of Deno.readDirSync(`${dir}/data`)) {
      await Deno.copyFile(`${dir}/data/${name}`, `${dir}/copy/${name}`);
    }
    const second = await upload(2);
    for (const { name } of Deno.readDirSync(`${dir}/copy`)) {
      await Deno.copyFile(`${dir}/copy/${name}`, `${dir}/data/${name}`);
    }
    const third = await withStore(dir, {}, async (store) => {
      const third = await store.upload(someBytes(1000, 3));
      await store.store.settle(0);
      assert.deepEqual(await store.read(first), someBytes(1000, 1));
      return third;
    });
    const ids = [first, second, third].map(({ id }) => id);
    assert.deepEqual(records(dir).live.sort(), ids.sort());
  });
});

Deno.test("what a crash left behind a segment is cut off", async () => {
  await withDir(async (dir) => {
    const file = await withStore(dir, {}, async (store) => {
      const file = await store.upload(someBytes(1000, 1));
      await store.store.settle(0);
      return file;
    });
    const [path] = segments(dir);
    assert(path !== undefined);
    const before = Deno.readFileSync(path);
    // A copy that was never stored, and half of another one.
    const half = before.subarray(0, before.length / 2);
    Deno.writeFileSync(path, new Uint8Array([...before, ...before, ...half]));
    await withStore(dir, {}, async (store) => {
      // At once: in an index that is rebuilt it could bring a file back.
      assert.equal(Deno.statSync(path).size, before.length);
      const other = await store.upload(someBytes(100, 2));
      await store.store.settle(0);
      assert.deepEqual(records(dir).live, [file.id, other.id]);
      assert.deepEqual(await store.read(file), someBytes(1000, 1));
    });
  });
});

Deno.test("records that an older database needs are not cut off", async () => {
  const more = { segmentBytes: 10_000 };
  await withDir(async (dir) => {
    const files = await withStore(dir, more, async (store) => {
      const files: FileEntry[] = [];
      for (let seed = 1; seed <= 4; seed++) {
        files.push(await store.upload(someBytes(4000, seed)));
        await store.store.settle(0);
      }
      return files;
    });
    const [first, second, moved] = files;
    assert(first !== undefined && second !== undefined && moved !== undefined);
    await Deno.mkdir(`${dir}/copy`);
    for (const { name } of Deno.readDirSync(`${dir}/data`)) {
      await Deno.copyFile(`${dir}/data/${name}`, `${dir}/copy/${name}`);
    }
    await withStore(dir, more, async (store) => {
      for (const file of [first, second]) await store.delete(file);
      await store.store.settle(0);
      assert.equal(segments(dir).length, 1, "its first segment is gone");
    });
    for (const { name } of Deno.readDirSync(`${dir}/copy`)) {
      await Deno.copyFile(`${dir}/copy/${name}`, `${dir}/data/${name}`);
    }
    await withStore(dir, more, async (store) => {
      await store.upload(someBytes(1000, 5));
      await store.store.settle(0);
      assert(records(dir).live.includes(moved.id));
    });
  });
});
