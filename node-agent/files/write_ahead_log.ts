/**
 * Moves the database's write-ahead log into the database now and then, so that a
 * commit never does.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";
import { describeError, isDatabaseFull } from "./disk.ts";

/** See the module comment. */
export class WriteAheadLog {
  readonly #database: DatabaseSync;
  readonly #bytesMax: number;
  readonly #isReady: () => boolean;
  #bytes = 0;

  /**
   * Move it when it has this many bytes, roughly.
   *
   * @param isReady Flushes what must be stable before the records in it, since
   * to move it makes them so; whether that worked.
   */
  constructor(
    database: DatabaseSync,
    bytesMax: number,
    isReady: () => boolean,
  ) {
    this.#database = database;
    this.#bytesMax = bytesMax;
    this.#isReady = isReady;
  }

  /**
   * So many bytes were added to it.
   *
   * @returns Why the database cannot be written any more; `undefined` when it
   * can.
   */
  grow(bytes: number): Error | undefined {
    this.#bytes += bytes;
    if (this.#bytes <= this.#bytesMax) return undefined;
    this.#bytes = 0;
    if (!this.#isReady()) return undefined;
    try {
      this.#database.exec("PRAGMA wal_checkpoint(PASSIVE)");
    } catch (error) {
      if (isDatabaseFull(error)) return; // it grows until there is room
      return new Error(`a checkpoint failed: ${describeError(error)}`);
    }
  }
}
