/**
 * Arithmetic on CRC-32 values, so that the checksum of a changed file follows
 * from those of its parts without reading the file again.
 *
 * A CRC is a remainder of polynomial division over GF(2); appending n zero bytes
 * multiplies it by x^(8n). Polynomial: zlib's, reflected, 0xEDB88320.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { CHECKSUM_BLOCK_BYTES } from "@kedge/schema";

const POLYNOMIAL = 0xedb8_8320;
const ONE = 0x8000_0000; // the polynomial 1, reflected
/** x^(2^n) for n from 0. */
const POWERS: number[] = powersOfX();

/** Product of two polynomials modulo the CRC's. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= b;
    b = (b & 1) !== 0 ? (b >>> 1) ^ POLYNOMIAL : b >>> 1;
  }
  return product >>> 0;
}

function powersOfX(): number[] {
  const powers = [ONE >>> 1];
  for (let n = 1; n < 64; n++) {
    const last = powers[n - 1] ?? 0;
    powers.push(multiply(last, last));
  }
  return powers;
}

/** x^(8 × lengthBytes). */
function shiftBy(lengthBytes: number): number {
  let factor = ONE;
  let power = 3; // one byte is x^8 = x^(2^3)
  for (let rest = lengthBytes; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) factor = multiply(POWERS[power] ?? 0, factor);
    power++;
  }
  return factor;
}

/**
 * CRC-32 of two pieces one after the other.
 *
 * @param lengthBytes Length of the second piece.
 */
export function combineCrc32(
  first: number,
  second: number,
  lengthBytes: number,
): number {
  return (multiply(shiftBy(lengthBytes), first) ^ second) >>> 0;
}

/** CRC-32 of a run of zero bytes. */
export function zerosCrc32(lengthBytes: number): number {
  return ~multiply(shiftBy(lengthBytes), 0xffff_ffff) >>> 0;
}

/** CRC-32 of a block of zero bytes. */
const ZERO_BLOCK = zerosCrc32(CHECKSUM_BLOCK_BYTES);

/** CRC-32 of every MiB of a stream of bytes, and of the whole. */
export class BlockChecksums {
  /** CRC-32 of everything so far. */
  crc32 = 0;
  /** Bytes so far. */
  sizeBytes = 0;
  readonly #blocks: number[] = [];
  #open = 0;

  /**
   * Begin after content that is known already.
   *
   * @param blocks Its block checksums, as {@linkcode packBlocks} made them.
   */
  static after(
    sizeBytes: number,
    crc: number,
    blocks: Uint8Array | null,
  ): BlockChecksums {
    const sums = new BlockChecksums();
    const known = unpackBlocks(sizeBytes, crc, blocks);
    sums.sizeBytes = sizeBytes;
    sums.crc32 = crc;
    if (sizeBytes % CHECKSUM_BLOCK_BYTES !== 0) sums.#open = known.pop() ?? 0;
    sums.#blocks.push(...known);
    return sums;
  }

  /** Take the next bytes. */
  update(bytes: Uint8Array): void {
    this.crc32 = crc32(bytes, this.crc32);
    for (let at = 0; at < bytes.length;) {
      const filled = this.sizeBytes % CHECKSUM_BLOCK_BYTES;
      const end = Math.min(bytes.length, at + CHECKSUM_BLOCK_BYTES - filled);
      this.#open = crc32(bytes.subarray(at, end), this.#open);
      this.sizeBytes += end - at;
      at = end;
      if (this.sizeBytes % CHECKSUM_BLOCK_BYTES === 0) this.#close();
    }
  }

  /** Take so many zero bytes next. */
  addZeros(lengthBytes: number): void {
    const sum = zerosCrc32(lengthBytes);
    this.crc32 = combineCrc32(this.crc32, sum, lengthBytes);
    for (let rest = lengthBytes; rest > 0;) {
      const filled = this.sizeBytes % CHECKSUM_BLOCK_BYTES;
      const length = Math.min(rest, CHECKSUM_BLOCK_BYTES - filled);
      this.#open = length === CHECKSUM_BLOCK_BYTES
        ? ZERO_BLOCK
        : combineCrc32(this.#open, zerosCrc32(length), length);
      this.sizeBytes += length;
      rest -= length;
      if (this.sizeBytes % CHECKSUM_BLOCK_BYTES === 0) this.#close();
    }
  }

  #close(): void {
    this.#blocks.push(this.#open);
    this.#open = 0;
  }

  /** What the index keeps: `null` when the file has one block at most. */
  packed(): Uint8Array | null {
    const isOpen = this.sizeBytes % CHECKSUM_BLOCK_BYTES !== 0;
    return packBlocks(isOpen ? [...this.#blocks, this.#open] : this.#blocks);
  }
}

/** Block checksums as bytes, little endian; `null` for one block at most. */
export function packBlocks(blocks: readonly number[]): Uint8Array | null {
  if (blocks.length <= 1) return null;
  const bytes = new Uint8Array(blocks.length * 4);
  const view = new DataView(bytes.buffer);
  blocks.forEach((crc, index) => view.setUint32(index * 4, crc, true));
  return bytes;
}

/** Block checksums as numbers. */
export function unpackBlocks(
  sizeBytes: number,
  crc: number,
  blocks: Uint8Array | null,
): number[] {
  if (sizeBytes === 0) return [];
  if (blocks === null) return [crc];
  const view = new DataView(blocks.buffer, blocks.byteOffset);
  return Array.from(
    { length: blocks.length / 4 },
    (_, index) => view.getUint32(index * 4, true),
  );
}
