import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { MIB, Problem } from "@kedge/schema";
import { parseFileId } from "@kedge/schema/file-id";
import type { Change } from "@kedge/schema/change";
import {
  diskPath,
  newEntry,
  someBytes,
  TestStore,
  withDir,
} from "./store_fixture.ts";

async function withStore(
  act: (store: TestStore, dir: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-store-" });
  try {
    const store = await TestStore.open(dir);
    try {
      await act(store, dir);
    } finally {
      await store.close();
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const SIZES = [0, 1, 4096, 65_536, 65_537, MIB - 1, MIB, MIB + 1, 3 * MIB + 7];

Deno.test("a file that was appended can be read, whole and in parts", () =>
  withStore(async (store, dir) => {
    for (const size of SIZES) {
      const bytes = someBytes(size, size + 1);
      const entry = await store.upload(bytes);
      assert.equal(entry.sizeBytes, size);
      assert.equal(entry.crc32, crc32(bytes));
      assert.deepEqual(store.store.files.lookup(entry.id), entry);
      for (let round = 0; round < 3; round++) {
        assert.deepEqual(await store.read(entry), bytes, `size ${size}`);
      }
      for (const [from, end] of [[0, 1], [size - 1, size], [1, size - 1]]) {
        if (from === undefined || end === undefined) continue;
        if (from < 0 || end > size || from >= end) continue;
        const part = await store.read(entry, { from, lengthBytes: end - from });
        assert.deepEqual(part, bytes.subarray(from, end), `${from}-${end}`);
      }
      const info = await Deno.stat(diskPath(dir, entry.id));
      assert.equal(info.size, size);
      assert.equal(parseFileId(entry.id)?.origin, 1);
    }
    assert.equal(store.store.files.fileCount(), SIZES.length);
    assert.equal(store.store.log.head(), SIZES.length);
    assert.deepEqual([...Deno.readDirSync(`${dir}/p0/data/.tmp`)], []);
  }));

Deno.test("a body that comes as a stream is staged the same way", () =>
  withStore(async (store) => {
    for (const size of SIZES) {
      const bytes = someBytes(size, 3);
      const body = new Blob([bytes]).stream();
      const passed: Uint8Array[] = [];
      let finished = false;
      const staged = await store.store.files.stage({
        body,
        sizeBytesMax: size,
        relay: {
          write(part) {
            passed.push(part.slice());
            return Promise.resolve();
          },
          finish() {
            finished = true;
            return Promise.resolve();
          },
          abort() {},
        },
      });
      assert.equal(staged.crc32, crc32(bytes));
      assert.equal(staged.inline === undefined, size > 65_536);
      assert.equal(finished, size > 65_536);
      if (finished) {
        assert.deepEqual(await new Blob(passed as BlobPart[]).bytes(), bytes);
      }
      await store.store.files.discard(staged);
    }
  }));

Deno.test("a body that is too long is refused, and leaves nothing", () =>
  withStore(async (store, dir) => {
    for (const size of [1, 70_000, 3 * MIB]) {
      const body = new Blob([someBytes(size)]).stream();
      await assert.rejects(
        store.store.files.stage({ body, sizeBytesMax: size - 1 }),
        (error) => error instanceof Problem && error.slug === "too-large",
      );
    }
    assert.deepEqual([...Deno.readDirSync(`${dir}/p0/data/.tmp`)], []);
  }));

Deno.test("a sender that breaks off leaves nothing", () =>
  withStore(async (store, dir) => {
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (++sent > 20) controller.error(new Error("gone"));
        else controller.enqueue(someBytes(100_000, sent));
      },
    });
    let aborted = false;
    await assert.rejects(
      store.store.files.stage({
        body,
        sizeBytesMax: 1e9,
        relay: {
          write: () => Promise.resolve(),
          finish: () => Promise.resolve(),
          abort() {
            aborted = true;
          },
        },
      }),
      /gone/,
    );
    assert(aborted);
    assert.deepEqual([...Deno.readDirSync(`${dir}/p0/data/.tmp`)], []);
  }));

Deno.test("a file can be appended to, changed and truncated", () =>
  withStore(async (store) => {
    for (const size of [10, 60_000, MIB, 2 * MIB + 5]) {
      let bytes = someBytes(size, 1);
      let entry = await store.upload(bytes, { appender: true });
      const check = async (wanted: Uint8Array<ArrayBuffer>) => {
        bytes = wanted;
        assert.equal(entry.sizeBytes, bytes.length);
        assert.equal(entry.crc32, crc32(bytes));
        assert.deepEqual(await store.read(entry), bytes);
        assert.deepEqual(store.store.files.lookup(entry.id), entry);
      };
      for (const more of [5, 65_536, 100_000, MIB + 3]) {
        const tail = someBytes(more, more);
        entry = await store.write(entry, entry.sizeBytes, tail);
        await check(new Uint8Array([...bytes, ...tail]));
      }
      for (const [offset, length] of [[0, 3], [7, 200_000], [MIB - 2, 4]]) {
        if (offset === undefined || length === undefined) continue;
        const patch = someBytes(length, 9);
        entry = await store.write(entry, offset, patch);
        const next = bytes.slice();
        next.set(patch, offset);
        await check(next);
      }
      for (const cut of [bytes.length - 1, MIB + 1, MIB, 3, 0, 5, 2 * MIB]) {
        entry = await store.truncate(entry, cut);
        const next = new Uint8Array(cut);
        next.set(bytes.subarray(0, cut));
        await check(next);
      }
    }
  }));

Deno.test("a truncation that adds zeroes makes a hole", () =>
  withStore(async (store, dir) => {
    const sizeBytes = 40 * MIB + 5;
    const old = await store.upload(someBytes(60), { appender: true });
    let entry = await store.truncate(old, sizeBytes);
    const wanted = new Uint8Array(sizeBytes);
    wanted.set(someBytes(60));
    assert.equal(entry.crc32, crc32(wanted));
    assert.deepEqual(await store.read(entry), wanted);
    await store.store.settle(0);
    const { size, blocks } = await Deno.stat(diskPath(dir, entry.id));
    assert.equal(size, sizeBytes);
    assert((blocks ?? 0) * 512 <= 2 * MIB, `${blocks} blocks are taken`);
    entry = await store.write(entry, sizeBytes, someBytes(10, 2));
    const tail = (await store.read(entry)).subarray(sizeBytes - 5);
    assert.deepEqual(
      tail,
      new Uint8Array([0, 0, 0, 0, 0, ...someBytes(10, 2)]),
    );
  }));

Deno.test("a deleted file is gone from the disk and stays a tombstone", () =>
  withStore(async (store, dir) => {
    const entry = await store.upload(someBytes(5000));
    const buried = await store.delete(entry);
    assert.deepEqual(store.store.files.lookup(entry.id), buried);
    await assert.rejects(Deno.stat(diskPath(dir, entry.id)));
    await assert.rejects(store.read(entry), { slug: "file-not-found" });
    assert.equal(store.store.files.fileCount(), 0);
  }));

Deno.test("a start knows the starts before it, back to one that was heard of", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-store-" });
  const start = async (isHeard: boolean) => {
    const { store } = await TestStore.open(dir);
    if (isHeard) await store.runHeard();
    await store.close({ clean: true });
    return store.run;
  };
  try {
    const first = await start(true);
    assert.deepEqual(first.former, []);
    const second = await start(false);
    assert.deepEqual(second.former, [first.id]);
    const third = await start(true);
    assert.deepEqual(third.former, [first.id, second.id]);
    for (let i = 0; i < 32; i++) await start(false);
    const last = await start(false);
    assert.equal(last.former[0], third.id);
    assert.equal(last.former.length, 31);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("every start begins a new run of the log, whatever the stop was", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-store-" });
  try {
    let store = await TestStore.open(dir);
    const { incarnation, store: uuid } = store.store.log;
    const entry = await store.upload(someBytes(100));
    const digests = await store.store.log.digests();
    await store.close(true);
    store = await TestStore.open(dir);
    const second = store.store.log.incarnation;
    assert(second > incarnation);
    assert.equal(store.store.log.store, uuid);
    assert.equal(store.store.log.head(), 0);
    assert.deepEqual(await store.store.log.digests(), digests);
    assert.equal(store.store.files.fileCount(), 1);
    assert.deepEqual(await store.read(entry), someBytes(100));
    await store.upload(someBytes(7));
    const after = await store.store.log.digests();
    await store.close(false);
    store = await TestStore.open(dir);
    const next = store.store.log.incarnation;
    assert(next > second);
    assert.equal(store.store.log.head(), 0);
    assert.deepEqual(await store.store.log.digests(), after);
    await store.upload(someBytes(8));
    assert.deepEqual(store.store.log.incarnations(), [
      { incarnation, lastSequence: 1 },
      { incarnation: second, lastSequence: 1 },
      { incarnation: next, lastSequence: 1 },
    ]);
    await store.close();
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a second agent on the same folder is refused", () =>
  withStore(async (_, dir) => {
    await assert.rejects(TestStore.open(dir), { slug: "already-exists" });
  }));

Deno.test("settling flushes files and drops their copies", () =>
  withStore(async (store, dir) => {
    const entry = await store.upload(someBytes(5000));
    const large = await store.upload(someBytes(200_000));
    const longer = await store.write(large, 200_000, someBytes(100_000, 4));
    await store.store.settle(0);
    assert.deepEqual(await store.read(entry), someBytes(5000));
    assert.equal((await store.read(longer)).length, 300_000);
    assert.deepEqual([...Deno.readDirSync(`${dir}/p0/data/.tmp`)], []);
  }));

Deno.test("an idempotency key is remembered with the file", () =>
  withStore(async (store) => {
    const entry = await store.upload(someBytes(10), { key: "k1" });
    assert.deepEqual(store.store.files.remembered("k1"), {
      id: entry.id,
      sha256: entry.sha256,
    });
    assert.equal(store.store.files.remembered("k2"), undefined);
  }));

Deno.test("of two files with one key every node remembers the later epoch's", () =>
  withStore(async (one, dir) => {
    const two = await TestStore.open(`${dir}/other`, { node: 2 });
    try {
      const bytes = someBytes(10);
      const record = async (store: TestStore, epoch: number) => {
        const staged = await store.stage(bytes);
        const id = store.store.files
          .newId({ staged, extension: "bin", appender: false });
        const origin = store.store.log.node;
        const entry = { ...newEntry(id, staged), origin, epoch };
        const change: Change = { entry, body: { kind: "whole" }, key: "k" };
        return {
          sequence: 1,
          change,
          content: { kind: "inline", bytes },
        } as const;
      };
      const early = await record(one, 1);
      const late = await record(two, 2);
      // Each has its own first, then hears of the other's.
      await one.store.log.append(early, true, "k");
      await two.store.log.append(late, true, "k");
      await one.store.log.apply(2, two.store.log.incarnation, [late], true);
      await two.store.log.apply(1, one.store.log.incarnation, [early], true);
      for (const { store } of [one, two]) {
        assert.equal(store.files.remembered("k")?.id, late.change.entry.id);
      }
    } finally {
      await two.close();
    }
  }));

Deno.test("a reader that goes away in the middle damages nothing", () =>
  withStore(async (store) => {
    const entry = await store.upload(someBytes(6 * MIB));
    await store.store.settle(0);
    for (let turn = 0; turn < 60; turn++) {
      const body = await store.store.files.read(entry);
      assert(body instanceof ReadableStream);
      const reader = body.getReader();
      for (let block = 0; block < turn % 4; block++) await reader.read();
      await reader.cancel();
    }
    assert.deepEqual(await store.store.log.damaged(10), []);
    assert.deepEqual(await store.read(entry), someBytes(6 * MIB));
  }));

Deno.test("a large file that was read a while ago is checked again", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-store-" });
  let nowMs = 0;
  const clock = { monotonicMs: () => nowMs, wallMs: () => Date.now() };
  try {
    const store = await TestStore.open(dir, { clock });
    const entry = await store.upload(someBytes(3 * MIB));
    await store.store.settle(0);
    const { files } = store.store;
    const whole = { from: 0, lengthBytes: 3 * MIB };
    // A stream that was checked is native: it knows its own file only.
    const isNative = async () => {
      const isLean = files.isLean(entry, whole);
      assert.equal(files.isLean(entry, { ...whole, lengthBytes: MIB }), false);
      const body = await files.read(entry);
      assert(body instanceof ReadableStream);
      const first = await body.getReader().read();
      assert.equal(isLean, first.value?.length === 64 * 1024); // Deno's pieces
      return isLean;
    };
    assert.equal((await store.read(entry)).length, 3 * MIB);
    assert.equal(await isNative(), true, "just checked");
    nowMs += 10_001;
    assert.equal(await isNative(), false, "checked too long ago");
    await store.close();
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a file of one block is compared at every read", () =>
  withStore(async (store, dir) => {
    for (const size of [4096, 65_537, 200_000, MIB]) {
      const bytes = someBytes(size);
      const entry = await store.upload(bytes);
      await store.store.settle(0);
      assert.deepEqual(await store.read(entry), bytes);
      const path = diskPath(dir, entry.id);
      // The fingerprint stays: a medium rots without any sign on the file.
      const { mtime, atime } = await Deno.stat(path);
      const wrong = bytes.slice();
      wrong[size - 7] = (wrong[size - 7] ?? 0) ^ 1;
      await Deno.writeFile(path, wrong);
      if (atime && mtime) await Deno.utime(path, atime, mtime);
      await assert.rejects(store.read(entry), { slug: "damaged" }, `${size}`);
    }
  }));

Deno.test("when an appender was written last is what its disk says", () =>
  withDir(async (dir) => {
    const store = await TestStore.open(dir);
    const entry = await store.upload(someBytes(100), { appender: true });
    const path = diskPath(dir, entry.id);
    await Deno.utime(path, 1_700_000_000, 1_700_000_000.9);
    const { files } = store.store;
    assert.equal(await files.changedS(entry), 1_700_000_000);
    const grown = await store.write(entry, 100, someBytes(10));
    assert((await files.changedS(grown) ?? 0) > 1_700_000_000);
    await Deno.remove(path);
    assert.equal(await files.changedS(grown), undefined);
    await store.close();
  }));
