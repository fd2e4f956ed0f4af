/**
 * Gives the free pages of the database back to the disk, a few at a time.
 *
 * What is deleted leaves free pages, which later rows use again. When they are
 * many (a burst of uploads has settled, most files were deleted), pages from the
 * end of the file are moved into them and the end is cut off at the next
 * checkpoint. A step is a transaction like any other.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";
import { pause } from "../turns.ts";

/** Pages that one step moves, at most: 1 MiB. */
const STEP_PAGES = 256;
/** Bytes that a step adds to the write-ahead log, at most, roughly. */
const STEP_BYTES = 2 * STEP_PAGES * 4096;
/** Steps before other work is looked for. */
const STEPS_MAX = 16;
/** Free pages that are left alone: 64 MiB. */
const FREE_PAGES_MIN = 16_384;
/** It begins when more than this part of the pages is free … */
const FREE_BEGIN = 1 / 4;
/** … and ends when less is. */
const FREE_END = 1 / 8;

/** What a shrinker works with. */
export interface ShrinkerParts {
  readonly database: DatabaseSync;
  /** One transaction; it need not be flushed. */
  transact(act: () => void): void;
  /** So many bytes were added to the write-ahead log. */
  grown(bytes: number): void;
  /** Whether the database is closed: nothing may be asked of it. */
  isOver(): boolean;
}

/** Shrinks one database. */
export class Shrinker {
  readonly #parts: ShrinkerParts;
  readonly #freePagesMin: number;
  #isShrinking = false;

  /**
   * Nothing is done before {@linkcode run}.
   *
   * @param freePagesMin For tests.
   */
  constructor(parts: ShrinkerParts, freePagesMin = FREE_PAGES_MIN) {
    this.#parts = parts;
    this.#freePagesMin = freePagesMin;
  }

  /** Give some pages back; others have their turn in between. */
  async run(): Promise<void> {
    const { database, transact, grown, isOver } = this.#parts;
    for (let step = 0; step < STEPS_MAX; step++) {
      if (isOver() || !this.#isWanted()) return;
      transact(() => move(database));
      grown(STEP_BYTES);
      await pause();
    }
  }

  #isWanted(): boolean {
    const { database } = this.#parts;
    const free = pragma(database, "freelist_count");
    const part = free / Math.max(1, pragma(database, "page_count"));
    this.#isShrinking = free > this.#freePagesMin &&
      part > (this.#isShrinking ? FREE_END : FREE_BEGIN) &&
      pragma(database, "auto_vacuum") === INCREMENTAL;
    return this.#isShrinking;
  }
}

/** Every page that is moved is a row, and waits for the one before to be read. */
function move(database: DatabaseSync): void {
  database.prepare(`PRAGMA incremental_vacuum(${STEP_PAGES})`).all();
}

/** Value of `PRAGMA auto_vacuum`. */
export const INCREMENTAL = 2;

/** A number that SQLite tells. */
export function pragma(database: DatabaseSync, name: string): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name] ?? 0);
}
