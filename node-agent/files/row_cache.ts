/**
 * Rows of the index that were used lately, and files that are just changing.
 *
 * @module
 */

import type { FileRow } from "@kedge/schema/db";

/** The newest rows, by file ID; the one not used for longest goes first. */
export class RowCache {
  readonly #rows = new Map<string, FileRow>();
  readonly #busy = new Map<string, Promise<unknown>>();
  readonly #countMax: number;

  /** Keep at most this many rows. */
  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** A row, if it is here. */
  get(id: string): FileRow | undefined {
    const row = this.#rows.get(id);
    if (row === undefined) return undefined;
    this.#rows.delete(id);
    this.#rows.set(id, row);
    return row;
  }

  /** Keep a row, unless it is just changing. */
  set(row: FileRow): void {
    if (this.#busy.has(row.id)) return;
    this.#rows.set(row.id, row);
    if (this.#rows.size <= this.#countMax) return;
    const [oldest] = this.#rows.keys();
    if (oldest !== undefined) this.#rows.delete(oldest);
  }

  /** A row is not what it was. */
  forget(id: string): void {
    this.#rows.delete(id);
  }

  /**
   * Files change until `done` is settled: their rows are not kept, and readers
   * wait for them.
   */
  change(ids: readonly string[], done: Promise<unknown>): void {
    const over = done.catch(() => {}).then(() => {
      for (const id of ids) {
        this.#rows.delete(id);
        if (this.#busy.get(id) === over) this.#busy.delete(id);
      }
    });
    for (const id of ids) {
      this.#rows.delete(id);
      this.#busy.set(id, over);
    }
  }

  /** Settles when this file is not changing; `undefined` is now. */
  whenStill(id: string): Promise<unknown> | undefined {
    return this.#busy.get(id);
  }
}
