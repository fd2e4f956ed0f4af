/**
 * One at a time per key: changes of one file, uploads under one key.
 *
 * @module
 */

import { Problem } from "@kedge/schema";

interface Lock {
  tail: Promise<void>;
  waiters: number;
}

/** Locks by name; a name that nobody uses costs nothing. */
export class KeyedLock {
  readonly #locks = new Map<string, Lock>();
  readonly #waitersMax: number;

  /**
   * Make a set of locks.
   *
   * @param waitersMax How many may wait for one key.
   */
  constructor(waitersMax: number) {
    this.#waitersMax = waitersMax;
  }

  /** Keys in use, for tests. */
  get size(): number {
    return this.#locks.size;
  }

  /**
   * Do something while nobody else does anything under the same key.
   *
   * @param key What is locked.
   * @param work Runs when all earlier callers of this key are done.
   * @throws {Problem} `too-many-requests` when too many wait already.
   */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const lock = this.#locks.get(key) ??
      { tail: Promise.resolve(), waiters: 0 };
    if (lock.waiters >= this.#waitersMax) {
      throw new Problem("too-many-requests", "Too many requests for one file");
    }
    this.#locks.set(key, lock);
    lock.waiters++;
    const before = lock.tail;
    const { promise, resolve } = Promise.withResolvers<void>();
    lock.tail = promise;
    await before;
    try {
      return await work();
    } finally {
      if (--lock.waiters === 0) this.#locks.delete(key);
      resolve();
    }
  }
}
