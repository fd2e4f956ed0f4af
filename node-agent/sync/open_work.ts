/**
 * Fetches and comparisons under way, by the order in which they began. What they
 * saw may be older than a delete, so its tombstone must outlive them.
 *
 * @module
 */

/** See the module comment. */
export class OpenWork {
  readonly #open = new Set<number>();
  #newest = 0;

  /** Number of the one that began last. */
  get newest(): number {
    return this.#newest;
  }

  /** Number of the oldest one that is still open. */
  get oldest(): number | undefined {
    // A set keeps the order of insertion.
    return this.#open.values().next().value;
  }

  /** Do something that counts as open until it is over. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    const number = ++this.#newest;
    this.#open.add(number);
    try {
      return await work();
    } finally {
      this.#open.delete(number);
    }
  }
}
