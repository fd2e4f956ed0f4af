import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import type { FileRow } from "@kedge/schema/db";
import { Reader } from "./reader.ts";
import { SlowDisks } from "./slow_disks.ts";
import { someBytes } from "./store_fixture.ts";

const SIZE_BYTES = 200_000;

/** A file of one block, and a reader by a clock that stands still. */
async function withFile(
  work: (parts: {
    readonly path: string;
    readonly row: FileRow;
    readonly reader: Reader;
    readonly disks: SlowDisks;
    readonly clock: { nowMs: number };
    read(): Promise<{ bytes: Uint8Array; isInRoom: boolean }>;
  }) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-test-" });
  try {
    const path = `${dir}/file`;
    const bytes = someBytes(SIZE_BYTES);
    await Deno.writeFile(path, bytes);
    const row: FileRow = {
      ...{ id: "a", tombstone: 0, epoch: 1, version: 1, origin: 1 },
      ...{ sizeBytes: SIZE_BYTES, crc32: crc32(bytes), sha256: null },
      ...{ type: null, name: null, meta: "{}", createdS: 0, appender: 0 },
      ...{ master: null, pathIndex: 0, blockCrcs: null, damaged: 0 },
    };
    const clock = { nowMs: 0 };
    const disks = new SlowDisks(() => clock.nowMs);
    const reader = new Reader(() => clock.nowMs, disks);
    const room = new Uint8Array(SIZE_BYTES);
    const span = { from: 0, lengthBytes: SIZE_BYTES };
    const read = async () => {
      const file = { path, row, onDamage() {} };
      const found = await reader.read(file, span, () => room);
      assert(found instanceof Uint8Array);
      return { bytes: found, isInRoom: found === room };
    };
    await work({ path, row, reader, disks, clock, read });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("a file that was read a moment ago is read into the room", async () => {
  await withFile(async ({ read, clock }) => {
    assert.equal((await read()).isInRoom, false, "it may not be in memory");
    const { bytes, isInRoom } = await read();
    assert.equal(isInRoom, true);
    assert.deepEqual(bytes, someBytes(SIZE_BYTES));
    clock.nowMs = 10_001;
    assert.equal((await read()).isInRoom, false, "that was long ago");
  });
});

Deno.test("a file that was just written is read into the room", async () => {
  await withFile(async ({ read, reader }) => {
    reader.wrote("a");
    assert.equal((await read()).isInRoom, true);
  });
});

Deno.test("what was good a moment ago is compared again", async () => {
  await withFile(async ({ path, read }) => {
    await read();
    await read();
    using file = await Deno.open(path, { write: true });
    await file.seek(SIZE_BYTES - 1, Deno.SeekMode.Start);
    await file.write(Uint8Array.of(0, 0).subarray(1));
    await assert.rejects(read(), { slug: "damaged" });
    await file.truncate(SIZE_BYTES - 1);
    await assert.rejects(read(), { slug: "damaged" });
    await Deno.remove(path);
    await assert.rejects(read(), { slug: "damaged" });
  });
});

Deno.test("nothing is read in the event loop where a disk is slow", async () => {
  await withFile(async ({ read, reader, disks, clock }) => {
    reader.wrote("a");
    const flush = Promise.withResolvers<void>();
    const flushed = disks.flush(0, () => flush.promise);
    assert.equal((await read()).isInRoom, true);
    clock.nowMs = 500;
    assert.equal((await read()).isInRoom, false, "a flush does not end");
    flush.resolve();
    await flushed;
    assert.equal((await read()).isInRoom, true);
  });
});

/** A pipe that gives these bytes a little later, whoever waits for them. */
async function slowPipe(dir: string, bytes: Uint8Array) {
  const path = `${dir}/pipe`;
  await new Deno.Command("mkfifo", { args: [path] }).output();
  await Deno.writeFile(`${dir}/bytes`, bytes);
  const script = 'sleep 0.5; cat "$0/bytes" >"$0/pipe"';
  const child = new Deno.Command("sh", { args: ["-c", script, dir] }).spawn();
  return { path, ended: child.status };
}

Deno.test("a small file on a disk that hangs does not stop the event loop", async () => {
  await withFile(async ({ path, row, reader, disks, clock }) => {
    const hang = Promise.withResolvers<void>();
    const hung = disks.read(0, () => hang.promise);
    clock.nowMs = 500;
    const bytes = someBytes(5000);
    const dir = path.slice(0, path.lastIndexOf("/"));
    const pipe = await slowPipe(dir, bytes);
    const small = { ...row, sizeBytes: 5000, crc32: crc32(bytes) };
    const seen: string[] = [];
    setTimeout(() => seen.push("others had their turn"), 0);
    const file = { path: pipe.path, row: small, onDamage() {} };
    const span = { from: 10, lengthBytes: 20 };
    assert.deepEqual(await reader.read(file, span), bytes.subarray(10, 30));
    assert.deepEqual(seen, ["others had their turn"]);
    hang.resolve();
    await hung;
    await pipe.ended;
  });
});

Deno.test("what lies behind an appender's end is no damage, on a slow disk either", async () => {
  await withFile(async ({ path, reader, disks, clock, row }) => {
    const bytes = someBytes(1000);
    await Deno.writeFile(path, bytes);
    await Deno.writeFile(path, someBytes(70_000, 2), { append: true });
    const facts = { sizeBytes: bytes.length, crc32: crc32(bytes), appender: 1 };
    const file = {
      path,
      row: { ...row, ...facts },
      onDamage: (why: string) => assert.fail(why),
    };
    const span = { from: 0, lengthBytes: bytes.length };
    assert.deepEqual(await reader.read(file, span), bytes);
    disks.readHere(0, clock.nowMs - 1000);
    assert(disks.isSuspect(0));
    assert.deepEqual(await reader.read(file, span), bytes);
  });
});
