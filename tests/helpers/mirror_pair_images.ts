/**
 * The disks of a pair, compared byte by byte.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** What one bit of the bitmap stands for, in bytes. */
const BLOCK_BYTES = 4096;

/** The data of a backing file: its first bytes, without the metadata. */
export async function dataOf(
  disk: string,
  sizeBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  using file = await Deno.open(disk);
  const bytes = new Uint8Array(sizeBytes);
  for (let at = 0; at < sizeBytes;) {
    const count = await file.read(bytes.subarray(at));
    if (count === null) throw new Error(`${disk} is shorter than ${sizeBytes}`);
    at += count;
  }
  return bytes;
}

/** Blocks of 4 KiB that differ. */
export function differingBlocks(a: Uint8Array, b: Uint8Array): number[] {
  const [left, right] = [Buffer.from(a.buffer), Buffer.from(b.buffer)];
  if (a.length === b.length && left.equals(right)) return [];
  const blocks: number[] = [];
  for (let at = 0; at < Math.max(a.length, b.length); at += BLOCK_BYTES) {
    const piece = (from: Buffer) => from.subarray(at, at + BLOCK_BYTES);
    if (!piece(left).equals(piece(right))) blocks.push(at / BLOCK_BYTES);
  }
  return blocks;
}
