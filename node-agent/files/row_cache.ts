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
  /** Rows of new files that are not in the database yet. */
  readonly #early = new Map<string, FileRow>();
  /** Called when somebody waits for one of these. */
  hurry: () => void = () => {};

  /** Keep at most this many rows. */
  constructor(countMax: number) {
    this.#rows = new Lately(countMax);
  }

  /** A row, if it is here. */
  get(id: string): FileRow | undefined {
    return this.#early.get(id) ?? this.#rows.get(id);
  }

  /** Rows that are not in the database yet. */
  get early(): Iterable<FileRow> {
    return this.#early.values();
  }

  /** Whether there are any. */
  get hasEarly(): boolean {
    return this.#early.size > 0;
  }

  /**
   * A new file has a row that is stored later.
   *
   * @param stored When it is; if that fails, this is the only place that knows.
   */
  add(row: FileRow, stored: Promise<unknown>): void {
    const { id } = row;
    this.#early.set(id, row);
    this.change([id], stored);
    stored.then(() => this.#early.delete(id), () => {});
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

  /** Whether no change of a file is under way. */
  isStill(id: string): boolean {
    return !this.#busy.has(id);
  }

  /** Settles when this file is not changing; `undefined` is now. */
  whenStill(id: string): Promise<unknown> | undefined {
    if (this.#early.has(id)) this.hurry();
    return this.#busy.get(id);
  }
}
