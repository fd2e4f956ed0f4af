/**
 * Which file names may be given out.
 *
 * A name contains the node and the second, so it can only be that of a file
 * which this node named in the same second. Names of the present second are
 * remembered here; the index is asked only while the second may have been used
 * before: at the start of a run, and after the clock was set back.
 *
 * @module
 */

import { mustParse } from "./layout.ts";
import { Lately } from "./lately.ts";

/** Names given out and not yet stored that are remembered. */
const RESERVED_COUNT_MAX = 100_000;

/** What {@linkcode NewNames} works with. */
export interface NewNamesOptions {
  /** When this run began, in seconds since the Unix epoch. */
  readonly sinceS: number;
  /** Whether the index, tombstones included, has this ID. */
  readonly isKnown: (id: string) => boolean;
}

/** Gives every name out once. */
export class NewNames {
  readonly #isKnown: (id: string) => boolean;
  /** Given out and not stored yet, whatever the second. */
  readonly #reserved = new Lately<true>(RESERVED_COUNT_MAX);
  /** The newest second that may have been used. */
  #newestS: number;
  /** Given out in the newest second; whole only when that began in this run. */
  #names = new Set<string>();
  readonly #sinceS: number;

  /** Nothing was given out yet. */
  constructor({ sinceS, isKnown }: NewNamesOptions) {
    this.#sinceS = sinceS;
    this.#newestS = sinceS;
    this.#isKnown = isKnown;
  }

  /**
   * Take a name.
   *
   * @returns `false` when it was used before.
   */
  take(id: string): boolean {
    const { createdS } = mustParse(id);
    if (createdS > this.#newestS) this.#enter(createdS);
    const isUsed = createdS < this.#newestS || createdS <= this.#sinceS
      ? this.#reserved.get(id) === true || this.#isKnown(id)
      : this.#names.has(id);
    if (isUsed) return false;
    this.#names.add(id);
    this.#reserved.set(id, true);
    return true;
  }

  /** Whether a name was given out and is not stored yet: nobody knows it. */
  isTaken(id: string): boolean {
    return this.#reserved.get(id) === true;
  }

  /** The index has this name from now on. */
  release(id: string): void {
    this.#reserved.delete(id);
  }

  #enter(second: number): void {
    this.#newestS = second;
    this.#names = new Set();
  }
}
