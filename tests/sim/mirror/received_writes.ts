/**
 * What a Secondary has in its memory, on its way to the disk (protocols A, B).
 * A long write of zeroes comes in several frames, which are applied one by one.
 *
 * @module
 */

import type { MirrorFrame } from "@kedge/schema/wire/mirror";
import type { Lineage } from "./lineage.ts";
import { contentOf } from "./watch_writes.ts";
import { PIECE_BYTES } from "./world.ts";

/** Pieces of a write that came in one frame. */
export interface ReceivedRange {
  readonly first: number;
  readonly count: number;
}

/** See the module comment. */
export class ReceivedWrites {
  readonly #ranges = new Map<number, ReceivedRange[]>();

  /** How many writes are on their way. */
  get size(): number {
    return this.#ranges.size;
  }

  /** Whether a part of a write is on its way. */
  has(value: number): boolean {
    return this.#ranges.has(value);
  }

  /** Whether the part that covers this piece is on its way. */
  covers(value: number, piece: number): boolean {
    return this.#ranges.get(value)?.some((range) => isIn(range, piece)) ??
      false;
  }

  /** A frame came. */
  add(value: number, range: ReceivedRange): void {
    this.#ranges.set(value, [...this.#ranges.get(value) ?? [], range]);
  }

  /** A frame with a write came. */
  arrived(frame: MirrorFrame, lineage: Lineage): void {
    if (frame.kind === "data") {
      const first = frame.offset / PIECE_BYTES;
      const count = frame.payload.length / PIECE_BYTES;
      this.add(contentOf(frame.payload, 0), { first, count });
    }
    if (frame.kind === "zero") {
      const first = frame.offset / PIECE_BYTES;
      const count = frame.lengthBytes / PIECE_BYTES;
      this.add(lineage.valueOf(first, 0) ?? 0, { first, count });
    }
  }

  /** The frame that covers this piece is on the disk, or about to be. */
  applied(value: number, piece: number): void {
    const ranges = this.#ranges.get(value);
    if (ranges === undefined) return;
    const left = ranges.filter((range) => !isIn(range, piece));
    if (left.length > 0) this.#ranges.set(value, left);
    else this.#ranges.delete(value);
  }

  /** Every piece of every write. */
  *pieces(): Iterable<readonly [value: number, piece: number]> {
    for (const [value, ranges] of this.#ranges) {
      for (const { first, count } of ranges) {
        for (let at = 0; at < count; at++) yield [value, first + at];
      }
    }
  }

  /** The memory is gone. */
  clear(): void {
    this.#ranges.clear();
  }
}

function isIn({ first, count }: ReceivedRange, piece: number): boolean {
  return piece >= first && piece < first + count;
}
