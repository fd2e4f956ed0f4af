/**
 * Flushes what was stored without a flush, a while later.
 *
 * @module
 */

/** One timer: it runs or it does not. */
export class FlushTimer {
  readonly #delayMs: number;
  readonly #flush: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Call `flush` so many milliseconds after a start. */
  constructor(delayMs: number, flush: () => void) {
    this.#delayMs = delayMs;
    this.#flush = flush;
  }

  /** Something waits for a flush, and has waited for so long. */
  start(waitedMs = 0): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#flush();
    }, Math.max(0, this.#delayMs - waitedMs));
  }

  /** Nothing waits any more. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
