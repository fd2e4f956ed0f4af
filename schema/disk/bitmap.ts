/**
 * The bitmap: which 4 KiB blocks differ from the peer's.
 *
 * Bit `n` stands for bytes `n × 4096` to `(n + 1) × 4096` of the volume. On
 * disk it is bit `n mod 64` of the little-endian 64-bit word `n / 64`, which is
 * bit `n mod 8` of byte `n / 8`. Bits past the end of the volume are zero.
 *
 * Kept whole in memory. Changed pages of 4 KiB (128 MiB of the volume each) are
 * remembered until somebody writes them.
 *
 * Works on little-endian machines, as are all that Deno runs on.
 *
 * Source: reference of DRBD, §4.8.
 *
 * @module
 */

import { BIT_SECTORS, META_BLOCK_BYTES } from "./units.ts";

/** Bits of one page. */
export const PAGE_BITS: number = META_BLOCK_BYTES * 8;

/** Bits from `from` up to, not including, `to`. */
export interface BitRange {
  /** First bit. */
  readonly from: number;
  /** After the last bit. */
  readonly to: number;
}

/** Bits of all blocks that a range of sectors touches: to set them. */
export function bitsTouched(sector: number, sectors: number): BitRange {
  return {
    from: Math.floor(sector / BIT_SECTORS),
    to: Math.ceil((sector + sectors) / BIT_SECTORS),
  };
}

/**
 * Bits of all blocks that a range of sectors covers whole: to clear them.
 *
 * @param volumeSectors Where the last block, which may be shorter, ends.
 */
export function bitsCovered(
  sector: number,
  sectors: number,
  volumeSectors: number,
): BitRange {
  const end = sector + sectors;
  const from = Math.ceil(sector / BIT_SECTORS);
  const to = end >= volumeSectors
    ? Math.ceil(volumeSectors / BIT_SECTORS)
    : Math.floor(end / BIT_SECTORS);
  return { from, to: Math.max(from, to) };
}

/** Bits in memory, with their pages that were changed. */
export class Bitmap {
  /** How many bits there are. */
  readonly bits: number;
  /** The bytes as on disk, in whole pages. Change bits by the methods only. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #isDirty: Uint8Array;
  #setBits = 0;

  /** All bits clear, no page changed. */
  constructor(bits: number) {
    const pages = Math.ceil(bits / PAGE_BITS);
    this.bits = bits;
    this.bytes = new Uint8Array(pages * META_BLOCK_BYTES);
    this.#words = new Uint32Array(this.bytes.buffer);
    this.#isDirty = new Uint8Array(pages);
  }

  /** How many bits are set. */
  get setBits(): number {
    return this.#setBits;
  }

  /** How many pages there are. */
  get pages(): number {
    return this.#isDirty.length;
  }

  /** Whether a bit is set. */
  has(bit: number): boolean {
    return (this.#word(Math.floor(bit / 32)) & 1 << (bit & 31)) !== 0;
  }

  /** Set bits. @returns How many were clear. */
  set({ from, to }: BitRange): number {
    return this.#change(from, Math.min(to, this.bits), true);
  }

  /** Clear bits. @returns How many were set. */
  clear({ from, to }: BitRange): number {
    return this.#change(from, Math.min(to, this.bits), false);
  }

  /** Set every bit; every page is to be written, whatever the disk holds. */
  setAll(): void {
    this.set({ from: 0, to: this.bits });
    this.#isDirty.fill(1);
  }

  /** How many bits of a range are set. */
  count({ from, to }: BitRange): number {
    let count = 0;
    forEachWord(from, Math.min(to, this.bits), (index, mask) => {
      count += popcount(this.#word(index) & mask);
    });
    return count;
  }

  /** The first set bit at or after `from`; -1 when there is none. */
  nextSet(from: number): number {
    return this.#next(from, 0);
  }

  /** The first clear bit at or after `from`; -1 when there is none. */
  nextClear(from: number): number {
    const found = this.#next(from, 0xffffffff);
    return found < this.bits ? found : -1;
  }

  /** Whether a page was changed since it was last taken. */
  isDirty(page: number): boolean {
    return this.#isDirty[page] === 1;
  }

  /** The first changed page at or after `from`; -1 when there is none. */
  nextDirty(from: number): number {
    return this.#isDirty.indexOf(1, from);
  }

  /** Note that pages have been written. */
  markWritten(fromPage: number, toPage: number): void {
    this.#isDirty.fill(0, fromPage, toPage);
  }

  /**
   * Take over {@link bytes} after they were filled from disk: bits past the
   * end are dropped, and bits are counted.
   */
  adopt(): void {
    const end = Math.ceil(this.bits / 32);
    if ((this.bits & 31) !== 0) {
      this.#words[end - 1] = this.#word(end - 1) & maskBelow(this.bits & 31);
    }
    this.#words.fill(0, end);
    this.#isDirty.fill(0);
    let count = 0;
    for (let index = 0; index < end; index++) {
      count += popcount(this.#word(index));
    }
    this.#setBits = count;
  }

  #word(index: number): number {
    return this.#words[index] ?? 0;
  }

  #change(from: number, to: number, isSet: boolean): number {
    let changed = 0;
    forEachWord(from, to, (index, mask) => {
      const before = this.#word(index);
      const after = isSet ? before | mask : before & ~mask;
      const flips = popcount(before ^ after);
      if (flips === 0) return;
      this.#words[index] = after;
      this.#isDirty[Math.floor(index / (PAGE_BITS / 32))] = 1;
      changed += flips;
    });
    this.#setBits += isSet ? changed : -changed;
    return changed;
  }

  /** The first bit that differs from `plain`, a word of zeroes or ones. */
  #next(from: number, plain: number): number {
    if (from >= this.bits) return -1;
    let index = Math.floor(from / 32);
    let word = (this.#word(index) ^ plain) & ~maskBelow(from & 31);
    while (word === 0) {
      index++;
      if (index >= this.#words.length) return -1;
      word = this.#word(index) ^ plain;
    }
    return index * 32 + 31 - Math.clz32(word & -word);
  }
}

/** Ones below a bit of a word; `bit` is 0 to 31. */
function maskBelow(bit: number): number {
  return (1 << bit) - 1;
}

function forEachWord(
  from: number,
  to: number,
  visit: (index: number, mask: number) => void,
): void {
  if (from >= to) return;
  const first = Math.floor(from / 32);
  const last = Math.floor((to - 1) / 32);
  for (let index = first; index <= last; index++) {
    let mask = -1;
    if (index === first) mask &= ~maskBelow(from & 31);
    if (index === last && (to & 31) !== 0) mask &= maskBelow(to & 31);
    visit(index, mask);
  }
}

function popcount(word: number): number {
  let n = word - ((word >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
