/**
 * The bitmap on disk.
 *
 * Bits are set in memory and written when somebody asks: before an extent
 * leaves the activity log, on demotion, disconnect, detach, and at the end of a
 * resync. Until then the activity log, or a full resync, stands in for them.
 *
 * @module
 */

import { Bitmap, type BitRange, PAGE_BITS } from "@kedge/schema/disk/bitmap";
import { bitsOfSectors, type MetaGeometry } from "@kedge/schema/disk/geometry";
import { AL_EXTENT_BITS, META_BLOCK_BYTES } from "@kedge/schema/disk/units";
import type { RawDevice } from "../raw_device.ts";

/** Most bytes of one read or write. */
const CHUNK_BYTES = 1024 * 1024;
const CHUNK_PAGES = CHUNK_BYTES / META_BLOCK_BYTES;

/** Bits that stand for one extent of the activity log. */
export function bitsOfExtent(extent: number): BitRange {
  const from = extent * AL_EXTENT_BITS;
  return { from, to: from + AL_EXTENT_BITS };
}

/**
 * Write pages of a bitmap to their place, neighbours together; durable on
 * return.
 *
 * @throws {DeviceError}
 */
export function saveBitmapPages(
  device: RawDevice,
  { bmOffset }: MetaGeometry,
  { bytes, pages }: {
    /** A whole bitmap, in whole pages. */
    readonly bytes: Uint8Array;
    /** Which of them, ascending. */
    readonly pages: readonly number[];
  },
): void {
  for (let at = 0; at < pages.length;) {
    const first = pages[at] ?? 0;
    let length = 1;
    while (length < CHUNK_PAGES && pages[at + length] === first + length) {
      length++;
    }
    const offset = first * META_BLOCK_BYTES;
    const run = bytes.subarray(offset, offset + length * META_BLOCK_BYTES);
    device.writeAt(run, bmOffset + offset);
    at += length;
  }
  device.flush();
}

/** A {@link Bitmap} with its place on disk. */
export class BitmapFile {
  /** The bits. Change them here, then write. */
  readonly bitmap: Bitmap;
  readonly #device: RawDevice;
  readonly #geometry: MetaGeometry;
  #mustFlush = false;

  /**
   * All bits clear; {@link load} reads them.
   *
   * @param device Fenced: nothing is written after a failure.
   */
  constructor(device: RawDevice, geometry: MetaGeometry) {
    this.#device = device;
    this.#geometry = geometry;
    this.bitmap = new Bitmap(bitsOfSectors(geometry.usableSectors));
  }

  /**
   * Read all bits.
   *
   * @throws {DeviceError} Then nobody knows what differs: take everything.
   */
  load(): void {
    const { bytes } = this.bitmap;
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
      const chunk = bytes.subarray(at, at + CHUNK_BYTES);
      this.#device.readAt(chunk, this.#geometry.bmOffset + at);
    }
    this.bitmap.adopt();
  }

  /** Set every bit, in memory; every page waits for a write. */
  setAll(): void {
    this.bitmap.setAll();
  }

  /**
   * Write the changed pages. Not durable before {@link flush}.
   *
   * @throws {DeviceError}
   */
  writeDirty(): void {
    this.#writePages(0, this.bitmap.pages);
  }

  /**
   * Write the changed pages that hold the bits of an extent, as has to be done
   * before the activity log forgets it. Not durable before {@link flush}.
   *
   * @returns Whether there was anything to write.
   * @throws {DeviceError}
   */
  writeExtent(extent: number): boolean {
    const page = Math.floor(bitsOfExtent(extent).from / PAGE_BITS);
    if (!this.bitmap.isDirty(page)) return false;
    this.#writePages(page, page + 1);
    return true;
  }

  /**
   * Write pages of somebody else's bitmap of the same volume; durable on
   * return.
   *
   * @param bytes A whole bitmap, in whole pages.
   * @param pages Which of them, ascending.
   * @throws {DeviceError}
   */
  savePages(bytes: Uint8Array, pages: readonly number[]): void {
    saveBitmapPages(this.#device, this.#geometry, { bytes, pages });
    this.#mustFlush = false;
  }

  /**
   * Make durable what was written; nothing when nothing was.
   *
   * @throws {DeviceError}
   */
  flush(): void {
    if (!this.#mustFlush) return;
    this.#device.flush();
    this.#mustFlush = false;
  }

  #writePages(from: number, to: number): void {
    let page = this.bitmap.nextDirty(from);
    while (page !== -1 && page < to) {
      let end = page + 1;
      const most = Math.min(to, page + CHUNK_PAGES);
      while (end < most && this.bitmap.isDirty(end)) end++;
      this.#writeRun(page, end);
      page = this.bitmap.nextDirty(end);
    }
  }

  #writeRun(page: number, end: number): void {
    const at = page * META_BLOCK_BYTES;
    const bytes = this.bitmap.bytes.subarray(at, end * META_BLOCK_BYTES);
    this.#mustFlush = true;
    this.#device.writeAt(bytes, this.#geometry.bmOffset + at);
    this.bitmap.markWritten(page, end);
  }
}
