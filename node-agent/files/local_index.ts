/**
 * The index as the main isolate reads it: a connection that only reads, and the
 * rows used lately.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";
import type { FileEntry } from "@kedge/schema/change";
import { entryOf, type FileRow } from "@kedge/schema/db";
import { bucketOf, foldersOf } from "./digest_table.ts";
import type { RowCache } from "./row_cache.ts";
import type { ReadStatements } from "./statements.ts";
import { pause } from "../turns.ts";

/** Rows read before others get a turn. */
const SLICE_ROWS = 256;
/** Larger than any ID: they begin with a letter or digit. */
const BEYOND_IDS = "~";

/** Which entries to list. */
export interface ListQuery {
  readonly prefix?: string | undefined;
  readonly after?: string | undefined;
  readonly sinceS?: number | undefined;
  readonly untilS?: number | undefined;
  readonly limit: number;
}

/** Reads the index of a group. */
export class LocalIndex {
  /** Statements on the connection that reads. */
  readonly statements: ReadStatements;
  /** Rows used lately. */
  readonly rows: RowCache;
  readonly #database: DatabaseSync;

  /** Read with these. */
  constructor(
    database: DatabaseSync,
    statements: ReadStatements,
    rows: RowCache,
  ) {
    this.#database = database;
    this.statements = statements;
    this.rows = rows;
  }

  /** The row of a file. */
  row(id: string): FileRow | undefined {
    const known = this.rows.get(id);
    if (known !== undefined) return known;
    const row = this.statements.file.get({ id });
    if (row !== undefined) this.rows.set(row);
    return row;
  }

  /** The row once no change of the file is under way. */
  async stillRow(id: string): Promise<FileRow | undefined> {
    await this.rows.whenStill(id);
    return this.row(id);
  }

  /** Present entries in ID order. */
  list(query: ListQuery): FileEntry[] {
    const { prefix = "", after = "", sinceS = 0, limit } = query;
    const untilS = query.untilS ?? Infinity;
    const to = prefix === "" ? BEYOND_IDS : `${prefix}${BEYOND_IDS}`;
    const found: FileEntry[] = [];
    const first = after === "" || after < prefix ? prefix : `${after}\u0001`;
    const isWanted = (row: FileRow) =>
      row.tombstone === 0 && row.createdS >= sinceS && row.createdS <= untilS;
    let from = first;
    while (found.length < limit) {
      const rows = this.statements.filesBetween
        .all({ from, to, limit: SLICE_ROWS });
      for (const row of rows) {
        if (isWanted(row) && found.length < limit) found.push(entryOf(row));
      }
      const last = rows.at(-1);
      if (last === undefined || rows.length < SLICE_ROWS) break;
      from = `${last.id}\u0001`;
    }
    if (!this.rows.hasEarly) return found;
    const early = [...this.rows.early]
      .filter((row) => row.id >= first && row.id < to && isWanted(row));
    return withEarly(found, early.map(entryOf)).slice(0, limit);
  }

  /** Every entry of one bucket, tombstones too. */
  async bucket(index: number): Promise<FileEntry[]> {
    const found: FileEntry[] = [];
    for (const home of this.#homes()) {
      for (const folder of foldersOf(index)) {
        // "0" follows "/".
        await this.#collect(`${home}/${folder}/`, `${home}/${folder}0`, found);
      }
    }
    return found.filter(({ id }) => bucketOf(id) === index);
  }

  async #collect(
    from: string,
    to: string,
    found: FileEntry[],
  ): Promise<void> {
    for (let next = from;;) {
      const rows = this.statements.filesBetween
        .all({ from: next, to, limit: SLICE_ROWS });
      for (const row of rows) found.push(entryOf(row));
      const last = rows.at(-1);
      if (last === undefined || rows.length < SLICE_ROWS) return;
      next = `${last.id}\u0001`;
      await pause();
    }
  }

  /** Every `GROUP/Mxx` that has files. */
  #homes(): string[] {
    const homes: string[] = [];
    for (let from = "";;) {
      const [row] = this.statements.filesBetween
        .all({ from, to: BEYOND_IDS, limit: 1 });
      if (row === undefined) return homes;
      const home = row.id.split("/").slice(0, 2).join("/");
      homes.push(home);
      from = `${home}0`;
    }
  }

  /** Present entries after an ID whose content is missing or wrong here. */
  damaged(limit: number, after = ""): FileEntry[] {
    return this.statements.damagedFiles.all({ from: after, limit })
      .map(entryOf);
  }

  /** Stop reading. */
  close(): void {
    this.#database.close();
  }
}

/** Both, each entry once, in ID order. */
function withEarly(
  found: readonly FileEntry[],
  early: readonly FileEntry[],
): FileEntry[] {
  const byId = new Map([...early, ...found].map((entry) => [entry.id, entry]));
  return [...byId.values()].sort((a, b) => a.id < b.id ? -1 : 1);
}
