/**
 * One flush of the backing device at a time, shared by everybody who waits.
 *
 * A flush covers what was written before it was started; whoever asks while one
 * runs is served by the next.
 *
 * @module
 */

/** Called once: whether everything written before the request is stable. */
export type FlushDone = (stable: boolean) => void;

/** See the module comment. */
export class Flusher {
  #waiting: FlushDone[] = [];
  #running: FlushDone[] | undefined;
  #isWritten = false;

  /** @param start Starts a flush; {@link diskFlushed} tells its end. */
  constructor(readonly start: () => void) {}

  /** Whether everything that was written to this disk is stable. */
  get isStable(): boolean {
    return this.#running === undefined && !this.#isWritten;
  }

  /** Whether a flush runs, of which nobody knows how it ends. */
  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Something is about to be written. */
  written(): void {
    this.#isWritten = true;
  }

  /** Ask for everything written so far to become stable. */
  request(done: FlushDone): void {
    this.#waiting.push(done);
    this.#next();
  }

  /** The flush that was started has ended. */
  diskFlushed(stable: boolean): void {
    const served = this.#running ?? [];
    this.#running = undefined;
    for (const done of served) done(stable);
    this.#next();
  }

  /** The disk is gone: nobody is ever served by it again. */
  abandon(): void {
    const lost = [...this.#running ?? [], ...this.#waiting];
    this.#running = undefined;
    this.#waiting = [];
    this.#isWritten = false;
    for (const done of lost) done(false);
  }

  #next(): void {
    if (this.#running !== undefined || this.#waiting.length === 0) return;
    this.#running = this.#waiting;
    this.#waiting = [];
    this.#isWritten = false;
    this.start();
  }
}
