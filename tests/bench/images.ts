/**
 * Files that stand for disks.
 *
 * @module
 */

import type { Scope } from "../helpers/scope.ts";

/**
 * As the images of QEMU's arrangements are written (`head`): the page cache
 * keeps what was written together as one folio, and ext4 (Linux 6.18) takes
 * longer for a small write the larger that is: 2.2 µs up to 16 KiB, 3.4 µs at
 * 64 KiB.
 */
const PIECE_BYTES = 8 * 1024;

/**
 * The kernel moves a page to its active list when it is used again, which takes
 * longer than to copy it. Every file has that behind it.
 */
const USES = 2;

/**
 * A file of random bytes, written and not sparse: a hole would be read faster
 * than data, and the first write into it would be slower.
 *
 * @returns Its path; it goes with the scope.
 */
export async function writtenFile(
  scope: Scope,
  dir: string,
  sizeBytes: number,
): Promise<string> {
  const path = await Deno.makeTempFile({ dir, prefix: "kedge-disk-" });
  scope.defer(() => Deno.remove(path));
  using file = await Deno.open(path, { write: true });
  const block = crypto.getRandomValues(new Uint8Array(PIECE_BYTES));
  for (let left = sizeBytes; left > 0;) {
    left -= file.writeSync(block.subarray(0, Math.min(left, block.length)));
  }
  await file.syncData();
  for (let round = 0; round < USES; round++) await use(path);
  return path;
}

async function use(path: string): Promise<void> {
  using file = await Deno.open(path);
  const piece = new Uint8Array(1024 * 1024);
  while (file.readSync(piece) !== null);
}
