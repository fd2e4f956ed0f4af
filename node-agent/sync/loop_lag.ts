/**
 * Measures how late the event loop runs: a loop that stands still answers
 * nobody, and its silence must not be blamed on others.
 *
 * @module
 */

/** How long a peak is remembered, in milliseconds. */
const REMEMBER_MS = 10_000;

/** Peak of the lateness of a regular timer. */
export class LoopLag {
  readonly #periodMs: number;
  #lastMs: number | undefined;
  #peakMs = 0;
  #peakAtMs = 0;

  /** A meter for a timer with this period. */
  constructor(periodMs: number) {
    this.#periodMs = periodMs;
  }

  /** Longest recent delay, in milliseconds. */
  get peakMs(): number {
    return Math.round(this.#peakMs);
  }

  /** The timer has fired. */
  tick(nowMs: number): void {
    const lateMs = nowMs - (this.#lastMs ?? nowMs) - this.#periodMs;
    this.#lastMs = nowMs;
    if (lateMs > this.#peakMs || nowMs - this.#peakAtMs > REMEMBER_MS) {
      this.#peakMs = Math.max(0, lateMs);
      this.#peakAtMs = nowMs;
    }
  }
}
