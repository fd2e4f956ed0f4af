/**
 * Space kept back on the disk of the database, so that deletes and their
 * records still fit when it is full.
 *
 * @module
 */

import { statfsSync } from "node:fs";
import {
  isDatabaseFull,
  isFull,
  isMissing,
  removeSync,
  writeAllSync,
} from "./disk.ts";
import { folderOf } from "./layout.ts";

const CHUNK_BYTES = 1 << 20;

/** A file that is only there to be removed. */
export class Reserve {
  readonly #path: string;
  readonly #sizeBytes: number;
  #isReleased = false;

  /**
   * Name the file.
   *
   * @param sizeBytes 0 keeps nothing back.
   */
  constructor(path: string, sizeBytes: number) {
    this.#path = path;
    this.#sizeBytes = sizeBytes;
  }

  /** Whether the space was given away. */
  get isReleased(): boolean {
    return this.#isReleased;
  }

  /**
   * Give the space away.
   *
   * @returns Whether there was any.
   */
  release(): boolean {
    if (this.#isReleased || this.#sizeBytes === 0) return false;
    this.#isReleased = true;
    try {
      Deno.removeSync(this.#path);
      return true;
    } catch {
      return false;
    }
  }

  /**
   * Store something, with this space when the disk of the database is full: that
   * is not a broken one, and nothing was stored.
   *
   * @param onReleased Told when the space is used.
   * @throws What `store` throws.
   */
  lendTo<Result>(store: () => Result, onReleased: () => void): Result {
    try {
      return store();
    } catch (error) {
      if (!isDatabaseFull(error) || !this.release()) throw error;
      onReleased();
      return store();
    }
  }

  /**
   * Take the space, if it is there.
   *
   * @returns Whether the reserve is full now.
   */
  fill(): boolean {
    if (this.#sizeBytes === 0) return true;
    try {
      if (Deno.statSync(this.#path).size >= this.#sizeBytes) return true;
    } catch (error) {
      if (!isMissing(error)) return false;
    }
    if (!this.#hasRoom()) return false;
    try {
      this.#write();
      this.#isReleased = false;
      return true;
    } catch (error) {
      removeSync(this.#path);
      this.#isReleased = true;
      if (!isFull(error)) throw error;
      return false; // tried again later
    }
  }

  /** Twice the size must be free: filling must not fill the disk. */
  #hasRoom(): boolean {
    try {
      const { bsize, bavail } = statfsSync(folderOf(this.#path));
      const isThere = bsize * bavail >= 2 * this.#sizeBytes;
      if (!isThere) this.#isReleased = true;
      return isThere;
    } catch {
      return false;
    }
  }

  #write(): void {
    const file = Deno.openSync(this.#path, {
      write: true,
      create: true,
      truncate: true,
    });
    try {
      const chunk = new Uint8Array(CHUNK_BYTES);
      for (let rest = this.#sizeBytes; rest > 0; rest -= chunk.length) {
        writeAllSync(file, chunk.subarray(0, Math.min(rest, chunk.length)));
      }
    } finally {
      file.close();
    }
  }
}
