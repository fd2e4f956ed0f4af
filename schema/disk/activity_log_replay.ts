/**
 * What a ring of transactions says after a crash.
 *
 * Transactions are durable one after the other, so a crash can tear only the
 * block that comes after the newest one. Any other damage means that something
 * durable is gone: then the log is **unusable**, and the whole device has to be
 * taken as different. Never "nothing".
 *
 * ```text
 * block               found                    meaning
 * of newest − k       that number              part of the story
 *   (never written)   initialised              the ring is young
 * of newest + 1       the oldest number,       untouched
 *                     initialised, or torn     in flight: no write waits for it
 * anything else                                unusable
 * ```
 *
 * A torn block is made of whole sectors of its old and new content. So its
 * first sector, with magic and number, is one of the two; if not, it is damage.
 *
 * A newest block that was durable and decays on the disk looks much the same.
 * Its first sector has all that it changes, and the checksum of the whole; the
 * rest follows from the blocks before. So with the new number there the block is
 * made again: when the checksum fits, its extents count, torn or not (DRBD leaves
 * them out); when it does not, the first sector is damaged.
 *
 * Source: reference of DRBD, §4.2 and §4.4; promises B11.
 *
 * @module
 */

import {
  AL_FREE,
  type AlBlock,
  alBlockOf,
  type AlTransaction,
  decodeAlBlock,
  peekAlBlock,
  salvageAlBlock,
} from "./activity_log.ts";
import type { AlStriping } from "./geometry.ts";
import { META_BLOCK_BYTES } from "./units.ts";

/** What a ring says. */
export type AlReplay =
  /** Extents that may differ, ascending; and whether a block was torn. */
  | {
    readonly kind: "extents";
    readonly extents: readonly number[];
    readonly isTorn: boolean;
  }
  /** It cannot be trusted: everything may differ. */
  | { readonly kind: "unusable"; readonly reason: string };

/**
 * Where numbers start again at 0: the largest multiple of the ring's length
 * below 2^32, so that neighbours in time stay neighbours in the ring.
 */
export function alNumbersEnd({ stripes, stripeSize4k }: AlStriping): number {
  const blocks = stripes * stripeSize4k;
  return Math.floor(2 ** 32 / blocks) * blocks;
}

/**
 * Read a ring after a crash.
 *
 * @param ring The whole ring, as on disk.
 * @param striping How blocks follow one another in it.
 */
export function replayRing(ring: Uint8Array, striping: AlStriping): AlReplay {
  const story = new RingReader(ring, striping).read();
  if (typeof story === "string") return { kind: "unusable", reason: story };
  const map = mapOf(story.transactions, story.isYoung);
  if (typeof map === "string") return { kind: "unusable", reason: map };
  const inFlight = story.inFlight === undefined
    ? []
    : salvageAlBlock(story.inFlight, map);
  if (inFlight === undefined) {
    const reason = "the block of the newest transaction is damaged";
    return { kind: "unusable", reason };
  }
  const all = [...map, ...inFlight.map(({ extent }) => extent)];
  const extents = new Set(all.filter((extent) => extent !== AL_FREE));
  return {
    kind: "extents",
    extents: [...extents].sort((a, b) => a - b),
    isTorn: story.isTorn,
  };
}

interface Story {
  /** Oldest first, without a gap. */
  readonly transactions: readonly AlTransaction[];
  /** Nothing was overwritten yet: slots not mentioned are free. */
  readonly isYoung: boolean;
  readonly isTorn: boolean;
  /** The torn block, when its first sector is that of the new transaction. */
  readonly inFlight?: Uint8Array | undefined;
}

class RingReader {
  readonly #ring: Uint8Array;
  readonly #striping: AlStriping;
  readonly #blocks: readonly AlBlock[];
  readonly #numbersEnd: number;

  constructor(ring: Uint8Array, striping: AlStriping) {
    this.#ring = ring;
    this.#striping = striping;
    this.#numbersEnd = alNumbersEnd(striping);
    const count = ring.length / META_BLOCK_BYTES;
    this.#blocks = Array.from(
      { length: count },
      (_, at) => decodeAlBlock(this.#bytes(at)),
    );
  }

  /** The story, or why there is none. */
  read(): Story | string {
    const newest = this.#newest();
    if (typeof newest === "string") return newest;
    // A ring without transactions is one before number 0.
    const next = newest === undefined ? 0 : this.#after(newest, 1);
    const transactions: AlTransaction[] = [];
    let isYoung = newest === undefined;
    for (let back = 1; back <= this.#blocks.length; back++) {
      const number = this.#after(next, -back);
      const block = this.#blockOf(number);
      const isLast = back === this.#blocks.length;
      switch (block.kind) {
        case "update":
          if (isYoung || block.transaction.number !== number) {
            return `transaction ${block.transaction.number} stands where ` +
              `${number} is due`;
          }
          transactions.unshift(block.transaction);
          break;
        case "initialised":
          // Nothing can be older than the start of the ring.
          if (number < this.#numbersEnd - this.#blocks.length) {
            return `transaction ${number} is missing`;
          }
          isYoung = true;
          break;
        case "invalid":
          if (isLast && this.#isTornWrite(next, number)) {
            return {
              transactions,
              // The overwritten block tells whether the ring was young.
              isYoung: isYoung || next === 0,
              isTorn: true,
              inFlight: this.#inFlight(next),
            };
          }
          return `block of transaction ${number}: ${block.reason}`;
      }
    }
    return { transactions, isYoung, isTorn: false };
  }

  #bytes(at: number): Uint8Array {
    const start = at * META_BLOCK_BYTES;
    return this.#ring.subarray(start, start + META_BLOCK_BYTES);
  }

  #after(number: number, steps: number): number {
    return (number + steps + this.#numbersEnd) % this.#numbersEnd;
  }

  #blockOf(number: number): AlBlock {
    return this.#blocks[alBlockOf(number, this.#striping)] ??
      { kind: "invalid", reason: "outside the ring" };
  }

  /** The number that no other follows; more than one such: a gap. */
  #newest(): number | undefined | string {
    const numbers = new Set<number>();
    for (const block of this.#blocks) {
      if (block.kind === "update") numbers.add(block.transaction.number);
    }
    const ends = [...numbers].filter((n) => !numbers.has(this.#after(n, 1)));
    if (ends.length > 1) return "transactions are missing in between";
    if (ends.length === 0 && numbers.size > 0) return "numbers run in a circle";
    return ends[0];
  }

  #inFlight(next: number): Uint8Array | undefined {
    const bytes = this.#bytes(alBlockOf(next, this.#striping));
    const head = peekAlBlock(bytes);
    const isNew = head?.number === next && !head.isInitialised;
    return isNew ? bytes : undefined;
  }

  /** Whether the first sector is what a write of `next` over `old` leaves. */
  #isTornWrite(next: number, old: number): boolean {
    const head = peekAlBlock(this.#bytes(alBlockOf(next, this.#striping)));
    if (head === undefined) return false;
    return head.isInitialised || head.number === next || head.number === old;
  }
}

/** Slots after all transactions, or why some of them are not known. */
function mapOf(
  transactions: readonly AlTransaction[],
  isYoung: boolean,
): Uint32Array | string {
  const size = transactions.reduce((max, t) => Math.max(max, t.contextSize), 0);
  const map = new Uint32Array(size).fill(AL_FREE);
  const isKnown = new Uint8Array(size).fill(isYoung ? 1 : 0);
  for (const { contextStart, context, updates } of transactions) {
    map.set(context, contextStart);
    isKnown.fill(1, contextStart, contextStart + context.length);
    for (const { slot, extent } of updates) {
      map[slot] = extent;
      isKnown[slot] = 1;
    }
  }
  const gap = isKnown.indexOf(0);
  return gap === -1 ? map : `slot ${gap} of ${size} is in no transaction`;
}
