/**
 * Files that stand for disks.
 *
 * @module
 */

import type { Scope } from "../helpers/scope.ts";

/**
 * Larger writes would leave larger folios in the page cache, and a small write
 * into one of 2 MiB costs five times as much (ext4, Linux 6.18).
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
