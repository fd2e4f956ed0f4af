/**
 * Files that stand for disks.
 *
 * @module
 */

import type { Scope } from "../helpers/scope.ts";

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
  const block = new Uint8Array(4 * 1024 * 1024);
  for (let at = 0; at < block.length; at += 65_536) {
    crypto.getRandomValues(block.subarray(at, at + 65_536));
  }
  for (let left = sizeBytes; left > 0;) {
    left -= await file.write(block.subarray(0, Math.min(left, block.length)));
  }
  await file.syncData();
  return path;
}
