/**
 * Flushes of folders, one for all who ask while another one is under way: with
 * many new files in a folder each name needs a flush, but not one of its own.
 *
 * @module
 */

import { flush } from "./disk.ts";

/** See the module comment. */
export class SharedFlushes {
  readonly #flush: (path: string) => Promise<void>;
  readonly #running = new Map<string, Promise<void>>();
  readonly #next = new Map<string, Promise<void>>();

  /**
   * @param how Flushes one path.
   */
  constructor(how: (path: string) => Promise<void> = flush) {
    this.#flush = how;
  }

  /**
   * Resolves when a flush is over that began after this call.
   *
   * @throws What the flush throws; everybody who shares it is told.
   */
  flush(path: string): Promise<void> {
    const next = this.#next.get(path);
    if (next !== undefined) return next;
    const running = this.#running.get(path);
    if (running === undefined) return this.#begin(path);
    // The one that is under way may have begun before the name was there. When
    // it fails, another one proves nothing: the system may have let go of the
    // name (promises.md §0, finding 2).
    const queued = running.then(() => {
      this.#next.delete(path);
      return this.#begin(path);
    }, (error) => {
      this.#next.delete(path);
      throw error;
    });
    this.#next.set(path, queued);
    return queued;
  }

  #begin(path: string): Promise<void> {
    const flushed = this.#flush(path).finally(() => this.#running.delete(path));
    this.#running.set(path, flushed);
    return flushed;
  }
}
