/**
 * The agent's database: node:sqlite, with statements written by drizzle.
 *
 * drizzle builds every statement from the typed tables; node:sqlite prepares
 * it once and runs it synchronously, which on the hot path costs a quarter of
 * what the asynchronous proxy does (reference: deno.md §3).
 *
 * @module
 */

import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { Param, Placeholder } from "drizzle-orm";
import { drizzle } from "drizzle-orm/sqlite-proxy";
import { MIGRATIONS } from "@kedge/schema/db";
import { describeError, isDatabaseFull } from "./disk.ts";
import { INCREMENTAL, pragma } from "./shrinker.ts";

/** Pages of a database that is written anew: 64 MiB, in memory meanwhile. */
const REWRITTEN_PAGES_MAX = 16_384;

/** A value that SQLite stores. */
export type SqlValue = SQLInputValue;

/** Anything that drizzle can turn into SQL. */
interface Query {
  toSQL(): { sql: string; params: unknown[] };
}

/** Writes statements; it never runs one. */
export const write = drizzle(() => {
  throw new Error("statements are run by node:sqlite, not by the proxy");
});

/** A statement that is prepared once and run often. */
export class Prepared<Row = never> {
  readonly #statement: ReturnType<DatabaseSync["prepare"]>;
  readonly #names: readonly (string | undefined)[];
  readonly #fixed: readonly SqlValue[];

  /**
   * Prepare a statement.
   *
   * @param database Where to run it.
   * @param query Written with {@linkcode write}; values are placeholders.
   */
  constructor(database: DatabaseSync, query: Query) {
    const { sql, params: given } = query.toSQL();
    const params = given.map((one) => one instanceof Param ? one.value : one);
    this.#statement = database.prepare(sql);
    this.#names = params.map((param) =>
      param instanceof Placeholder ? String(param.name) : undefined
    );
    this.#fixed = params.map((param) =>
      param instanceof Placeholder ? null : toSqlValue(param)
    );
  }

  #values(values: Readonly<Record<string, SqlValue>>): SqlValue[] {
    const list: SqlValue[] = new Array(this.#names.length);
    for (let at = 0; at < list.length; at++) {
      const name = this.#names[at];
      list[at] = name === undefined
        ? this.#fixed[at] ?? null
        : values[name] ?? null;
    }
    return list;
  }

  /** Run it for its effect. */
  run(values: Readonly<Record<string, SqlValue>>): void {
    this.#statement.run(...this.#values(values));
  }

  /** Its first row. The columns are named as the properties of `Row`. */
  get(values: Readonly<Record<string, SqlValue>>): Row | undefined {
    return this.#statement.get(...this.#values(values)) as Row | undefined;
  }

  /** All its rows. */
  all(values: Readonly<Record<string, SqlValue>>): Row[] {
    return this.#statement.all(...this.#values(values)) as Row[];
  }
}

function toSqlValue(value: unknown): SqlValue {
  if (typeof value === "number" || typeof value === "string") return value;
  if (value === null || value instanceof Uint8Array) return value;
  throw new TypeError(`Cannot store a ${typeof value}`);
}

/** Tells operators something. */
export type Warn = (message: string, facts: Record<string, unknown>) => void;

/**
 * Open the database for writing, and bring it to the present version.
 *
 * @param path Its file; made when missing.
 * @param warn Is told what was left out for want of space.
 * @throws {Error} When it is not a database, from a newer version, or its disk
 * fails.
 */
export function openForWriting(
  path: string,
  warn: Warn = () => {},
): DatabaseSync {
  const database = new DatabaseSync(path);
  // Where it is so already, SQLite would write that once more, and checkpoint.
  if (pragma(database, "page_count") === 0) {
    database.exec("PRAGMA auto_vacuum = INCREMENTAL");
  }
  // Checkpoints are ours (Committer), so that they do not hit a commit.
  database.exec(`
    PRAGMA busy_timeout = 5000;
    PRAGMA page_size = 4096;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA cache_size = -32768;
    PRAGMA temp_store = MEMORY;
  `);
  migrate(database);
  makeShrinkable(database, warn);
  return database;
}

/**
 * A database of an earlier version cannot give pages back before it was written
 * anew. That is done while it is small; without room it stays as it is.
 *
 * @throws {Error} When its disk fails: nothing may be written to it then.
 */
export function makeShrinkable(database: DatabaseSync, warn: Warn): void {
  if (pragma(database, "auto_vacuum") === INCREMENTAL) return;
  if (pragma(database, "page_count") > REWRITTEN_PAGES_MAX) return;
  try {
    database.exec(`
      PRAGMA auto_vacuum = INCREMENTAL;
      VACUUM;
      PRAGMA wal_checkpoint(TRUNCATE);
    `);
  } catch (error) {
    if (!isDatabaseFull(error)) throw error;
    warn(
      "the disk is too full to write the database anew: it will not shrink",
      { why: describeError(error), next: "make room and start again" },
    );
  }
}

/** Open the database for reading beside a writer. */
export function openForReading(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { readOnly: true });
  database.exec("PRAGMA busy_timeout = 1000; PRAGMA cache_size = -16384;");
  return database;
}

function migrate(database: DatabaseSync): void {
  const row = database.prepare("PRAGMA user_version").get();
  const done = Number(row?.user_version ?? 0);
  if (done > MIGRATIONS.length) {
    database.close();
    throw new Error(
      `Cannot use this database: it is of version ${done}, and this program knows ${MIGRATIONS.length}`,
    );
  }
  MIGRATIONS.slice(done).forEach((sql, index) => {
    const version = done + index + 1;
    database.exec(
      `BEGIN IMMEDIATE; ${sql}; PRAGMA user_version = ${version}; COMMIT;`,
    );
  });
}
