/**
 * Undo files: everything that is overwritten can be brought back, also after a
 * crash in between, and damage is noticed.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { UndoKeeper, type UndoOptions } from "./undo_keeper.ts";
import { decodeUndoHead, encodeUndoHead } from "./undo_layout.ts";
import { listUndoFiles, restoreUndo, UndoReader } from "./undo_reader.ts";

const SIZE = 8 * 1024 * 1024 + 512;
const GENERATION = 0x1234_5678_9abc_def0n;

function rig(dir: string, willChange: (block: number) => boolean) {
  const disk = crypto.getRandomValues(new Uint8Array(65_536));
  const bytes = new Uint8Array(SIZE).map((_, at) => disk[at % 65_521] ?? 0);
  const options: UndoOptions = {
    dir,
    resource: "r/0",
    volume: 3,
    generation: GENERATION,
    sizeBytes: SIZE,
    read: (offset, into) => {
      into.set(bytes.subarray(offset, offset + into.length));
      return true;
    },
    willChange,
  };
  return { bytes, options };
}

async function inFolder(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-undo-" });
  try {
    await work(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function targetOf(bytes: Uint8Array) {
  return {
    sizeBytes: bytes.length,
    write: (offset: number, content: Uint8Array) => {
      bytes.set(content, offset);
      return Promise.resolve();
    },
    flush: () => Promise.resolve(),
  };
}

Deno.test("what was overwritten comes back, whatever the order", async () => {
  const writes = fc.array(
    fc.tuple(fc.nat(SIZE - 1), fc.integer({ min: 1, max: 200_000 })),
    { minLength: 1, maxLength: 12 },
  );
  await fc.assert(
    fc.asyncProperty(writes, fc.nat(3), async (ranges, part) => {
      await inFolder(async (dir) => {
        const { bytes, options } = rig(dir, (block) => block % 4 < part);
        const original = bytes.slice();
        let keeper = new UndoKeeper(options);
        for (const [index, [offset, length]] of ranges.entries()) {
          const end = Math.min(SIZE, offset + length);
          keeper.before(offset, end - offset);
          bytes.fill(index, offset, end);
          if (index % 5 !== 4) continue;
          keeper.close(); // the process dies, and comes back
          keeper = new UndoKeeper(options);
        }
        keeper.finish();
        const [found] = listUndoFiles(dir);
        assert.equal(found?.isWhole, true);
        assert.deepEqual([found?.resource, found?.volume], ["r/0", 3]);
        await restoreUndo(keeper.path, targetOf(bytes));
        assert.ok(original.every((byte, at) => bytes[at] === byte));
      });
    }),
    { numRuns: 8 },
  );
});

Deno.test("a torn record ends the file, and is written anew", async () => {
  await inFolder((dir) => {
    const { options } = rig(dir, () => false);
    const keeper = new UndoKeeper(options);
    keeper.before(0, 4096);
    keeper.before(8192, 4096);
    keeper.close();
    const { size } = Deno.statSync(keeper.path);
    Deno.truncateSync(keeper.path, size - 100);
    assert.equal(listUndoFiles(dir)[0]?.keptBytes, 4096);
    const next = new UndoKeeper(options);
    next.before(8192, 4096);
    next.finish();
    using reader = new UndoReader(next.path);
    const places = Array.from(reader.pieces(), ({ offset }) => offset);
    assert.deepEqual(places, [0, 8192]);
    assert.ok(reader.isWhole);
    return Promise.resolve();
  });
});

Deno.test("a file that was cut before its head was there is begun anew", async () => {
  await inFolder(async (dir) => {
    const { bytes, options } = rig(dir, () => false);
    const original = bytes.slice(0, 4096);
    const { path } = new UndoKeeper(options);
    for (const sizeBytes of [0, 100, 4096]) {
      Deno.writeFileSync(path, new Uint8Array(sizeBytes));
      const keeper = new UndoKeeper(options);
      keeper.before(0, 4096);
      keeper.finish();
      bytes.fill(1, 0, 4096);
      await restoreUndo(path, targetOf(bytes));
      assert.ok(original.every((byte, at) => bytes[at] === byte));
    }
    Deno.writeFileSync(path, new Uint8Array(10_000)); // it may have kept much
    new UndoKeeper(options).finish();
    assert.equal(Deno.statSync(`${path}.damaged`).size, 10_000);
  });
});

Deno.test("who restores a damaged file is told that something is missing", async () => {
  await inFolder(async (dir) => {
    const { bytes, options } = rig(dir, () => false);
    const keeper = new UndoKeeper(options);
    for (const block of [0, 2, 4]) keeper.before(block * 4096, 4096);
    keeper.finish();
    const whole = await restoreUndo(keeper.path, targetOf(bytes));
    assert.deepEqual(whole, { writtenBytes: 3 * 4096, isWhole: true });
    const file = Deno.readFileSync(keeper.path);
    file.fill(0xee, 2 * 4096 + 2 * 24, 2 * 4096 + 2 * 24 + 10); // the second one
    Deno.writeFileSync(keeper.path, file);
    const cut = await restoreUndo(keeper.path, targetOf(bytes));
    assert.deepEqual(cut, { writtenBytes: 4096, isWhole: false });
  });
});

Deno.test("a volume that has grown goes on with its file", async () => {
  await inFolder(async (dir) => {
    const { bytes, options } = rig(dir, () => true);
    const original = bytes.slice();
    const keeper = new UndoKeeper({ ...options, sizeBytes: 409_600 + 512 });
    keeper.before(0, 4096);
    keeper.close();
    const next = new UndoKeeper(options);
    next.before(8192, 4096);
    next.before(409_600, 8192); // the old end, and what is new
    next.before(SIZE - 4096, 4096);
    next.finish();
    using reader = new UndoReader(next.path);
    const pieces = [...reader.pieces()];
    const end = Math.max(
      ...pieces.map(({ offset, content }) => offset + content.length),
    );
    assert.equal(end, 409_600 + 512);
    bytes.fill(0, 0, 409_600 + 512);
    await restoreUndo(next.path, targetOf(bytes));
    assert.ok(original.every((byte, at) => bytes[at] === byte));
    const smaller = { ...options, sizeBytes: 4096 };
    assert.throws(() => new UndoKeeper(smaller), /of a larger volume/);
  });
});

Deno.test("nothing is kept twice, and one sync serves a window", async () => {
  await inFolder((dir) => {
    const { options } = rig(dir, () => true);
    let reads = 0;
    const read: UndoOptions["read"] = (offset, into) => {
      reads++;
      return options.read(offset, into);
    };
    const keeper = new UndoKeeper({ ...options, read });
    keeper.before(0, 131_072);
    const once = reads;
    keeper.before(131_072, 131_072);
    keeper.before(3_000_000, 50_000);
    assert.equal(reads, once);
    keeper.close();
    return Promise.resolve();
  });
});

Deno.test("damage, a small target and a failing disk are refused", async () => {
  await inFolder(async (dir) => {
    const { bytes, options } = rig(dir, () => false);
    const keeper = new UndoKeeper(options);
    keeper.before(0, 4096);
    keeper.finish();
    const small = targetOf(bytes.subarray(0, 4096));
    await assert.rejects(restoreUndo(keeper.path, small), /restore it to/);
    const failing = new UndoKeeper({
      ...options,
      generation: 1n,
      read: () => false,
    });
    assert.throws(() => failing.before(0, 4096), /cannot be read/);
    failing.close();
    const file = Deno.readFileSync(keeper.path);
    file[4096 + 24 + 7] = (file[4096 + 24 + 7] ?? 0) ^ 1;
    Deno.writeFileSync(keeper.path, file);
    using reader = new UndoReader(keeper.path);
    assert.equal([...reader.pieces()].length, 0);
    assert.equal(reader.isWhole, false);
  });
});

Deno.test("the head survives its way, and arbitrary bytes are no head", () => {
  const head = {
    resource: "mysql",
    volume: 0,
    generation: "123456789ABCDEF0",
    sizeBytes: 1,
    createdMs: 2,
  };
  assert.deepEqual(decodeUndoHead(encodeUndoHead(head)), head);
  fc.assert(fc.property(fc.uint8Array({ size: "+2" }), (bytes) => {
    assert.equal(decodeUndoHead(bytes), undefined);
  }));
});
