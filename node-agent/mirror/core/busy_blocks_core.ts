/**
 * Which blocks have writes under way, so that a read of them waits (a value
 * must not be read and then vanish in a fail-over: promises.md R11).
 *
 * A small table of counters, addressed by a part of the block number: two
 * blocks may share one, then a read waits for a write that it need not wait
 * for. No allocation per write.
 *
 * @module
 */

import { BLOCK_BYTES } from "./bitmap_core.ts";

const COUNTERS = 1 << 16;

/** See the module comment. */
export class BusyBlocks {
  readonly #counters = new Uint32Array(COUNTERS);

  /** A write of the range begins. */
  add(offset: number, lengthBytes: number): void {
    this.#each(offset, lengthBytes, 1);
  }

  /** The write that was added has been answered. */
  remove(offset: number, lengthBytes: number): void {
    this.#each(offset, lengthBytes, -1);
  }

  /** Whether a read of the range has to wait. */
  touches(offset: number, lengthBytes: number): boolean {
    const [first, behind] = span(offset, lengthBytes);
    for (let block = first; block < behind; block++) {
      if (this.#counters[block % COUNTERS] !== 0) return true;
    }
    return false;
  }

  #each(offset: number, lengthBytes: number, by: number): void {
    const [first, behind] = span(offset, lengthBytes);
    for (let block = first; block < behind; block++) {
      const at = block % COUNTERS;
      this.#counters[at] = (this.#counters[at] ?? 0) + by;
    }
  }
}

/** Blocks of a range; a range longer than the table touches every counter once. */
function span(offset: number, lengthBytes: number): [number, number] {
  const first = Math.floor(offset / BLOCK_BYTES);
  const behind = Math.ceil((offset + lengthBytes) / BLOCK_BYTES);
  return [first, Math.min(behind, first + COUNTERS)];
}
