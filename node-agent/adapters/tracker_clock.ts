/**
 * The wall clock of the tracker, kept going by our monotonic clock.
 *
 * Capabilities end by the clock of whoever gave them. Judged by our own, a
 * storage host with a wrong clock would refuse every upload (promises.md F12).
 *
 * @module
 */

import type { Clock } from "../ports.ts";

/** A clock that follows what trackers say; our own until one has spoken. */
export class TrackerClock implements Clock {
  readonly #own: Clock;
  #aheadMs: number | undefined;

  /** Follow nobody yet. */
  constructor(own: Clock) {
    this.#own = own;
  }

  /** A tracker said what time it is, just now. */
  heard(clockMs: number | undefined): void {
    if (clockMs === undefined) return;
    this.#aheadMs = clockMs - this.#own.monotonicMs();
  }

  /** As the process has it. */
  monotonicMs(): number {
    return this.#own.monotonicMs();
  }

  /** What the tracker's clock says now, in ms since the Unix epoch. */
  wallMs(): number {
    return this.#aheadMs === undefined
      ? this.#own.wallMs()
      : this.#own.monotonicMs() + this.#aheadMs;
  }
}
