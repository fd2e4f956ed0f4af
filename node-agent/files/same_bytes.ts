/**
 * Whether two files hold the same bytes.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { readFull } from "./disk.ts";

const PIECE_BYTES = 1 << 20;
/** Up to here it takes longer to hand a read over than to do it. */
const AT_ONCE_BYTES = 64 << 10;

/**
 * Compare two files; large ones without blocking this thread.
 *
 * @param sizeBytes Length of both; a shorter file is not the same.
 * @throws What the system says when one cannot be read.
 */
export async function hasSameBytes(
  one: string,
  other: string,
  sizeBytes: number,
): Promise<boolean> {
  if (sizeBytes <= AT_ONCE_BYTES) {
    const [left, right] = [Deno.readFileSync(one), Deno.readFileSync(other)];
    return left.length === sizeBytes && Buffer.compare(left, right) === 0;
  }
  using first = await Deno.open(one);
  using second = await Deno.open(other);
  const size = Math.min(PIECE_BYTES, sizeBytes);
  const [left, right] = [new Uint8Array(size), new Uint8Array(size)];
  for (let rest = sizeBytes; rest > 0;) {
    const length = Math.min(size, rest);
    const [a, b] = [left.subarray(0, length), right.subarray(0, length)];
    const counts = await Promise.all([readFull(first, a), readFull(second, b)]);
    if (counts.some((count) => count < length)) return false;
    if (Buffer.compare(a, b) !== 0) return false;
    rest -= length;
  }
  return true;
}
