import assert from "node:assert/strict";
import { MIB } from "@kedge/schema";
import { someBytes, TestStore, withDir } from "./store_fixture.ts";

/** Store bodies in pieces; how many of them were written in the event loop. */
async function writtenHere(
  dir: string,
  sizes: readonly { readonly sizeBytes: number; readonly isKnown: boolean }[],
): Promise<number[]> {
  const store = await TestStore.open(dir);
  const { writeSync } = Deno.FsFile.prototype;
  const counts: number[] = [];
  let writtenBytes = 0;
  Deno.FsFile.prototype.writeSync = function (bytes) {
    writtenBytes += bytes.length;
    return writeSync.call(this, bytes);
  };
  try {
    for (const { sizeBytes, isKnown } of sizes) {
      writtenBytes = 0;
      const bytes = someBytes(sizeBytes, 7);
      const staged = await store.store.files.stage({
        body: ReadableStream.from(piecesOf(bytes)),
        sizeBytes: isKnown ? sizeBytes : undefined,
        sizeBytesMax: sizeBytes,
        durable: false,
      });
      assert.equal(staged.sizeBytes, sizeBytes);
      const path = `${dir}/p0/data/.tmp/${staged.token}`;
      assert.deepEqual(Deno.readFileSync(path), bytes);
      counts.push(writtenBytes);
    }
  } finally {
    Deno.FsFile.prototype.writeSync = writeSync;
    await store.close();
  }
  return counts;
}

function* piecesOf(bytes: Uint8Array): Iterable<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < bytes.length; at += 256 << 10) {
    yield bytes.slice(at, at + (256 << 10));
  }
}

Deno.test("the first 4 MiB of a body are written in the event loop", async () => {
  await withDir(async (dir) => {
    const counts = await writtenHere(dir, [
      { sizeBytes: MIB, isKnown: true },
      { sizeBytes: 6 * MIB, isKnown: true },
      { sizeBytes: 6 * MIB, isKnown: false },
    ]);
    assert.deepEqual(counts, [MIB, 4 * MIB, 4 * MIB]);
  });
});

Deno.test("nothing is written in the event loop on another disk than the database's", async () => {
  const shm = await Deno.makeTempDir({ dir: "/dev/shm" });
  try {
    await withDir(async (dir) => {
      await Deno.symlink(shm, `${dir}/p0`);
      const counts = await writtenHere(dir, [{
        sizeBytes: MIB,
        isKnown: true,
      }]);
      assert.deepEqual(counts, [0]);
    });
  } finally {
    await Deno.remove(shm, { recursive: true });
  }
});
