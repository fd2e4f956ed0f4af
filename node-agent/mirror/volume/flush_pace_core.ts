/**
 * Whether a flush may be made in the event loop, instead of beside it.
 *
 * Beside it costs two wake-ups more, and nobody is held up by a slow disk. In
 * memory, and on disks that keep their cache over a power loss, a flush takes
 * less time than one wake-up. Only of such a disk it is believed, after many
 * flushes beside the loop that were quick, and as long as none is slow; and only
 * while there is little to write. A flush of nothing tells nothing.
 *
 * ```text
 * beside ─ QUICK_MIN quick ones in a row ─▶ in line
 *    ▲                                        │
 *    └── one that was not; twice as many next ┘
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
/** The longest that a flush in the loop may take, in ms. */
const INLINE_MS_MAX = 0.05;

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

  /** Whether a flush of so many written bytes may be made in line. */
  isInline(bytes: number): boolean {
    return this.#quick >= this.#needed && bytes <= INLINE_BYTES_MAX;
  }

  /** A flush has ended. */
  took({ ms, bytes, wasInline }: FlushTaken): void {
    if (wasInline && ms > INLINE_MS_MAX) {
      this.#quick = 0;
      this.#needed = Math.min(2 * this.#needed, QUICK_MIN_MAX);
    } else if (!wasInline && bytes <= INLINE_BYTES_MAX) {
      if (ms > BESIDE_MS_MAX) this.#quick = 0;
      else if (bytes > 0) this.#quick++;
    }
  }
}
