/**
 * Files that stand for disks.
 *
 * @module
 */

import type { Scope } from "../helpers/scope.ts";

/**
 * After pieces of 4 MiB a small write cost four times as much CPU time (ext4,
 * Linux 6.18), probably because of larger folios in the page cache.
 */
const PIECE_BYTES = 64 * 1024;

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
    left -= await file.write(block.subarray(0, Math.min(left, block.length)));
  }
  await file.syncData();
  return path;
}
