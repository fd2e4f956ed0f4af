/**
 * A ceiling on bytes per second, and the end of a run.
 *
 * @module
 */

import type { Clock } from "../ports.ts";

/** Longest step of waiting, in ms, so that a stop is heard. */
const STEP_MS = 200;

/** Lets bytes through at most so fast. */
export class Pace {
  readonly #clock: Clock;
  readonly #bytesPerS: number;
  readonly #signal: AbortSignal;
  /** When all bytes so far may have passed, in monotonic ms. */
  #freeMs = 0;

  /**
   * Set the ceiling.
   *
   * @param bytesPerS 0 is none.
   * @param signal The run is over.
   */
  constructor(clock: Clock, bytesPerS: number, signal: AbortSignal) {
    this.#clock = clock;
    this.#bytesPerS = bytesPerS;
    this.#signal = signal;
  }

  /** Throws when the run was stopped. */
  check(): void {
    this.#signal.throwIfAborted();
  }

  /** Wait until so many more bytes may pass. Throws when the run was stopped. */
  async take(bytes: number): Promise<void> {
    this.#signal.throwIfAborted();
    if (this.#bytesPerS === 0) return;
    const nowMs = this.#clock.monotonicMs();
    const startMs = Math.max(this.#freeMs, nowMs);
    this.#freeMs = startMs + bytes * 1000 / this.#bytesPerS;
    await this.rest(startMs - nowMs);
  }

  /** Wait. Throws when the run was stopped. */
  async rest(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= STEP_MS) {
      await new Promise((resolve) =>
        setTimeout(resolve, Math.min(left, STEP_MS))
      );
      this.#signal.throwIfAborted();
    }
  }
}
