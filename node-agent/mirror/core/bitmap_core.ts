/**
 * The out-of-sync bitmap: one bit per 4 KiB block that the peer may not have.
 *
 * A write of any part of a block sets its bit; only a block that is covered
 * whole may be cleared. Bits are kept as DRBD stores them: little-endian, bit 0
 * of byte 0 is block 0. Pages (4 KiB of the bitmap, 128 MiB of the device) that
 * differ from the disk are remembered, so that saving is cheap.
 *
 * Source: DRBD 8.4 (bitmap granularity BM_BLOCK_SIZE 4096).
 *
 * @module
 */

/** What one bit stands for, in bytes. */
export const BLOCK_BYTES = 4096;

/** The unit in which the bitmap is saved, in bytes of bitmap. */
export const BITMAP_PAGE_BYTES = 4096;

/** Bytes of device behind one page of the bitmap. */
const PAGE_SPAN_BYTES = BITMAP_PAGE_BYTES * 8 * BLOCK_BYTES;

/** One bit per block of a device; see the module comment. */
export class OutOfSyncBitmap {
  /** The bits as on disk. Read it to save pages; never write to it. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Number of blocks. */
  readonly blocks: number;
  #count = 0;
  readonly #unsaved = new Set<number>();
  /** A page that is in there. */
  #lastTouched = -1;

  /** @param sizeBytes Size of the device in bytes. */
  constructor(readonly sizeBytes: number) {
    this.blocks = Math.ceil(sizeBytes / BLOCK_BYTES);
    const pages = Math.ceil(this.blocks / 8 / BITMAP_PAGE_BYTES);
    this.bytes = new Uint8Array(Math.max(1, pages) * BITMAP_PAGE_BYTES);
  }

  /** How many blocks are out of sync. */
  get count(): number {
    return this.#count;
  }

  /** Whether one block is out of sync. */
  has(block: number): boolean {
    return ((this.bytes[byteOf(block)] ?? 0) >> (block & 7) & 1) === 1;
  }

  /** Whether any block that the range touches is out of sync. */
  touches(offset: number, lengthBytes: number): boolean {
    const last = lastBlock(offset, lengthBytes);
    for (let block = firstBlock(offset); block <= last; block++) {
      if (this.has(block)) return true;
    }
    return false;
  }

  /** Mark every block that the range touches. */
  set(offset: number, lengthBytes: number): void {
    const last = Math.min(lastBlock(offset, lengthBytes), this.blocks - 1);
    this.#change(firstBlock(offset), last + 1, 0xff);
  }

  /** The same; whether any of them was not marked before. */
  mark(offset: number, lengthBytes: number): boolean {
    const before = this.#count;
    this.set(offset, lengthBytes);
    return this.#count !== before;
  }

  /** Clear the blocks that lie wholly in the range (the last one may be short). */
  clear(offset: number, lengthBytes: number): void {
    const end = offset + lengthBytes;
    const first = Math.ceil(offset / BLOCK_BYTES);
    const behind = end >= this.sizeBytes
      ? this.blocks
      : Math.floor(end / BLOCK_BYTES);
    this.#change(first, behind, 0);
  }

  /** Mark everything. */
  setAll(): void {
    this.set(0, this.sizeBytes);
  }

  /** Clear everything. */
  clearAll(): void {
    this.clear(0, this.sizeBytes);
  }

  /** The first block at or behind `from` that is out of sync, or -1. */
  next(from: number): number {
    for (let block = from; block < this.blocks;) {
      if ((block & 7) === 0 && this.bytes[byteOf(block)] === 0) {
        block += 8;
        continue;
      }
      if (this.has(block)) return block;
      block++;
    }
    return -1;
  }

  /**
   * Or a piece of another bitmap in, e.g. the peer's, or one read from disk.
   *
   * @param atByte Where the piece begins.
   * @param piece Its bytes; bits behind the last block are ignored.
   * @throws {RangeError} When it does not fit.
   */
  merge(atByte: number, piece: Uint8Array): void {
    if (atByte < 0 || atByte + piece.length > this.bytes.length) {
      throw new RangeError("A piece of a bitmap does not fit");
    }
    const used = Math.min(piece.length, this.usedBytes - atByte);
    for (let index = 0; index < used; index++) {
      const at = atByte + index;
      const isBlock = 0xff >> 8 - Math.min(8, this.blocks - at * 8);
      const bits = (piece[index] ?? 0) & isBlock;
      this.#replace(at, (this.bytes[at] ?? 0) | bits);
    }
  }

  /** The bytes that say something: without the padding of the last page. */
  get usedBytes(): number {
    return Math.ceil(this.blocks / 8);
  }

  /** Pages that differ from the disk, ascending. */
  unsavedPages(): number[] {
    return [...this.#unsaved].sort((a, b) => a - b);
  }

  /** Of these, the ones that cover a range of the device. */
  unsavedPagesOf(offset: number, lengthBytes: number): number[] {
    const first = Math.floor(offset / PAGE_SPAN_BYTES);
    const last = Math.floor((offset + lengthBytes - 1) / PAGE_SPAN_BYTES);
    return this.unsavedPages().filter((page) => page >= first && page <= last);
  }

  /** These pages are stable on disk as they are now. */
  saved(pages: readonly number[]): void {
    for (const page of pages) this.#unsaved.delete(page);
    this.#lastTouched = -1;
  }

  /** Every page has to be saved, whatever is on disk. */
  touchAll(): void {
    const pages = this.bytes.length / BITMAP_PAGE_BYTES;
    for (let page = 0; page < pages; page++) this.#unsaved.add(page);
  }

  /** The same bits for a device of another size; new blocks are marked if `dirty`. */
  resized(sizeBytes: number, dirty: boolean): OutOfSyncBitmap {
    const next = new OutOfSyncBitmap(sizeBytes);
    if (next.bytes.length < this.bytes.length || sizeBytes < this.sizeBytes) {
      next.merge(0, this.bytes.subarray(0, next.bytes.length));
    } else {
      next.bytes.set(this.bytes);
      next.#count = this.#count;
    }
    if (dirty && sizeBytes > this.sizeBytes) {
      next.set(this.sizeBytes, sizeBytes - this.sizeBytes);
    }
    next.touchAll();
    return next;
  }

  /** Set (0xff) or clear (0) the blocks from `first` to in front of `behind`. */
  #change(first: number, behind: number, to: 0 | 0xff): void {
    for (let block = first; block < behind;) {
      const at = byteOf(block);
      const end = Math.min(behind, (at + 1) * 8);
      const mask = (0xff << (block & 7)) & (0xff >> ((at + 1) * 8 - end));
      this.#replace(at, ((this.bytes[at] ?? 0) & ~mask) | (to & mask));
      block = end;
    }
  }

  #replace(at: number, now: number): void {
    const old = this.bytes[at] ?? 0;
    if (now === old) return;
    this.bytes[at] = now;
    this.#count += (BITS_SET[now] ?? 0) - (BITS_SET[old] ?? 0);
    this.#touch(Math.floor(at / BITMAP_PAGE_BYTES));
  }

  #touch(page: number): void {
    if (page === this.#lastTouched) return;
    this.#unsaved.add(page);
    this.#lastTouched = page;
  }
}

/** How many bits a byte has. */
const BITS_SET: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => {
  let count = 0;
  for (let rest = byte; rest > 0; rest >>= 1) count += rest & 1;
  return count;
});

/** Not by shifting: that ends at 2^31 blocks, which are 8 TiB. */
function byteOf(block: number): number {
  return Math.floor(block / 8);
}

function firstBlock(offset: number): number {
  return Math.floor(offset / BLOCK_BYTES);
}

function lastBlock(offset: number, lengthBytes: number): number {
  return Math.floor((offset + Math.max(1, lengthBytes) - 1) / BLOCK_BYTES);
}
