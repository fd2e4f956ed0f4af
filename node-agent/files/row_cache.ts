/**
 * Rows of the index that were used lately, and files that are just changing.
 *
 * @module
 */

import type { FileRow } from "@kedge/schema/db";
import { Lately } from "./lately.ts";

/** Rows by file ID. */
export class RowCache {
  readonly #rows: Lately<FileRow>;
  readonly #busy = new Map<string, Promise<unknown>>();

  /** Keep at most this many rows. */
  constructor(countMax: number) {
    this.#rows = new Lately(countMax);
  }

  /** A row, if it is here. */
  get(id: string): FileRow | undefined {
    return this.#rows.get(id);
  }

  /** Keep a row, unless it is just changing. */
  set(row: FileRow): void {
    if (!this.#busy.has(row.id)) this.#rows.set(row.id, row);
  }

  /** A row is not what it was. */
  forget(id: string): void {
    this.#rows.delete(id);
  }

  /** Many rows are not what they were. */
  clear(): void {
    this.#rows.clear();
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
