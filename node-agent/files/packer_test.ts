import assert from "node:assert/strict";
import type { FileEntry } from "@kedge/schema/change";
import { scanSegment } from "./segments.ts";
import { diskPath, someBytes, TestStore, withDir } from "./store_fixture.ts";
import type { StoreOptions } from "./store.ts";

const PACKING = { smallFileMax: 8192, settleDelayMs: 1e9 };

async function withStore<Result>(
  dir: string,
  more: Partial<StoreOptions>,
  act: (store: TestStore) => Promise<Result>,
): Promise<Result> {
  const store = await TestStore.open(dir, { ...PACKING, ...more });
  try {
    return await act(store);
  } finally {
    await store.close();
  }
}

function segments(dir: string): string[] {
  try {
    return [...Deno.readDirSync(`${dir}/p0/data/.segments`)]
      .map(({ name }) => `${dir}/p0/data/.segments/${name}`).sort();
  } catch {
    return [];
  }
}

function hasOwnFile(dir: string, { id }: FileEntry): boolean {
  try {
    return Deno.statSync(diskPath(dir, id)).isFile;
  } catch {
    return false;
  }
}

/** Records of all segments: IDs of those that are live, and dead. */
function records(dir: string) {
  const all = segments(dir).flatMap((path) => [...scanSegment(path)]);
  return {
    live: all.filter(({ isLive }) => isLive).map(({ id }) => id),
    dead: all.filter(({ isLive }) => !isLive).map(({ id }) => id),
  };
}

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

/** Change one byte of the body of a record. */
function damageRecord(dir: string, { id }: FileEntry): void {
  for (const path of segments(dir)) {
    const found = [...scanSegment(path)].find((one) => one.id === id);
    if (found === undefined) continue;
    const bytes = Deno.readFileSync(path);
    const at = found.offset + found.lengthBytes - 20;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    Deno.writeFileSync(path, bytes);
  }
}

/** Give a damaged file its bytes again, as a peer does. */
async function repair(
  store: TestStore,
  entry: FileEntry,
  bytes: Uint8Array,
): Promise<void> {
  const content = { kind: "inline", bytes: bytes.slice() } as const;
  await store.store.log.adopt([{ entry, content }], true);
}

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
