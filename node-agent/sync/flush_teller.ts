/**
 * When the origin of a log is told what is flushed here: a moment after it was
 * applied, and not while more keeps coming. It forgets records and ends a join
 * by that; no answer waits for it.
 *
 * @module
 */

import { FLUSH_DELAY_MS } from "@kedge/schema";

/** Most pauses of `FLUSH_DELAY_MS` until it is told. */
const TELL_PAUSES_MAX = 10;

/** See the module comment. */
export class FlushTeller {
  readonly #tell: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Whether something was applied since the timer was started. */
  #isComing = false;

  /** @param tell Called when it is time. */
  constructor(tell: () => void) {
    this.#tell = tell;
  }

  /** Something was applied. */
  applied(): void {
    if (this.#timer === undefined) this.#pause(TELL_PAUSES_MAX);
    else this.#isComing = true;
  }

  /** Stop the timer. */
  close(): void {
    clearTimeout(this.#timer);
  }

  #pause(pausesLeft: number): void {
    this.#isComing = false;
    this.#timer = setTimeout(() => {
      if (this.#isComing && pausesLeft > 1) return this.#pause(pausesLeft - 1);
      this.#timer = undefined;
      this.#tell();
    }, FLUSH_DELAY_MS);
  }
}
