/**
 * Several pieces of work at a time, the first failure ends them all.
 *
 * @module
 */

/** Runs work in at most so many lanes. */
export class Lanes {
  readonly #count: number;
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  /** Nothing runs yet. */
  constructor(count: number) {
    this.#count = count;
  }

  /**
   * Begin a piece of work as soon as a lane is free.
   *
   * @throws What an earlier piece threw.
   */
  async run(work: () => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#count) await Promise.race(this.#running);
    if (this.#failure !== undefined) throw this.#failure.error;
    const piece = work().catch((error) => {
      this.#failure ??= { error };
    }).finally(() => this.#running.delete(piece));
    this.#running.add(piece);
  }

  /** Wait for all of it. Never throws. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  /** Wait for all of it. @throws What a piece threw. */
  async end(): Promise<void> {
    await this.settled();
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
