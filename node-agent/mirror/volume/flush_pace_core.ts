/**
 * Whether a flush may be made in the event loop, instead of beside it.
 *
 * Beside it costs two wake-ups more, and nobody is held up by a slow disk. In
 * memory, and on disks that keep their cache over a power loss, a flush takes
 * less time than one wake-up. Only of such a disk it is believed, after many
 * flushes beside the loop that were quick, and as long as they are on the
 * average; and only while there is little to write. A flush of nothing tells
 * nothing. A process that was not given the processor for a moment looks like a
 * slow disk: what quick flushes have saved pays for a few of those.
 *
 * ```text
 * beside ─ QUICK_MIN quick ones in a row ─▶ in line
 *    ▲                                        │
 *    └── nothing is left; twice as many next ─┘
 * ```
 *
 * Pure: told the times, no I/O.
 *
 * @module
 */

/** So many quick flushes beside the loop, one after the other, at first. */
const QUICK_MIN = 64;
/** The most that are ever asked for. */
const QUICK_MIN_MAX = 65_536;
/** A flush beside the loop, with its wake-ups, that counts as quick, in ms. */
const BESIDE_MS_MAX = 0.3;
/** What a flush in the loop may take on the average, in ms. */
const INLINE_MS = 0.05;
/** The most that quick ones save for a slow one, in ms: a turn of others. */
const SAVED_MS_MAX = 4;

/** Written since the last flush, in bytes: more is flushed beside the loop. */
const INLINE_BYTES_MAX = 256 * 1024;

/** A flush that has ended well. */
export interface FlushTaken {
  readonly ms: number;
  /** Written since the flush before it. */
  readonly bytes: number;
  readonly wasInline: boolean;
}

/** See the module comment. */
export class FlushPace {
  #quick = 0;
  #needed = QUICK_MIN;
  #savedMs = SAVED_MS_MAX;

  /** Whether a flush of so many written bytes may be made in line. */
  isInline(bytes: number): boolean {
    return this.#quick >= this.#needed && bytes <= INLINE_BYTES_MAX;
  }

  /** A flush has ended. */
  took({ ms, bytes, wasInline }: FlushTaken): void {
    if (wasInline) {
      this.#savedMs = Math.min(SAVED_MS_MAX, this.#savedMs + INLINE_MS - ms);
      if (this.#savedMs >= 0) return;
      this.#savedMs = SAVED_MS_MAX;
      this.#quick = 0;
      this.#needed = Math.min(2 * this.#needed, QUICK_MIN_MAX);
    } else if (bytes <= INLINE_BYTES_MAX) {
      if (ms > BESIDE_MS_MAX) this.#quick = 0;
      else if (bytes > 0) this.#quick++;
    }
  }
}
