import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import type { FileRow } from "@kedge/schema/db";
import { Reader } from "./reader.ts";
import { someBytes } from "./store_fixture.ts";

const SIZE_BYTES = 200_000;

/** A file of one block, and a reader by a clock that stands still. */
async function withFile(
  work: (parts: {
    readonly path: string;
    readonly reader: Reader;
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
    const reader = new Reader(() => clock.nowMs);
    const room = new Uint8Array(SIZE_BYTES);
    const span = { from: 0, lengthBytes: SIZE_BYTES };
    const read = async () => {
      const file = { path, row, onDamage() {} };
      const found = await reader.read(file, span, () => room);
      assert(found instanceof Uint8Array);
      return { bytes: found, isInRoom: found === room };
    };
    await work({ path, reader, clock, read });
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
