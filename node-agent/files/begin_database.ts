/**
 * Opens the database and begins a run in it, also when its disk is full: deletes
 * must go on, and a store that does not start cannot make room.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";
import { openForWriting } from "./database.ts";
import { isDatabaseFull } from "./disk.ts";
import type { Layout } from "./layout.ts";
import type { Reserve } from "./reserve.ts";
import { beginRun, type RunStart } from "./run_start.ts";
import { WriteStatements } from "./statements.ts";
import type { WorkerOptions } from "./worker_messages.ts";
import { say, warn } from "./worker_voice.ts";

/** A database in which a run has begun. */
export interface BegunDatabase extends RunStart {
  readonly database: DatabaseSync;
  readonly statements: WriteStatements;
}

/**
 * Open the database and begin a run; durable when it returns. On a full disk the
 * reserve is given away for it.
 *
 * @throws {Problem} `invalid-request` when the database is another node's.
 */
export function beginDatabase(
  layout: Layout,
  options: WorkerOptions,
  reserve: Reserve,
): BegunDatabase {
  try {
    return open(layout, options);
  } catch (error) {
    // Nothing was stored: the run that failed to begin was rolled back.
    if (!isDatabaseFull(error) || !reserve.release()) throw error;
    warn("the disk of the database is full; the reserve is used", {});
    const opened = open(layout, options);
    say({ kind: "database-full", isFull: true });
    return opened;
  }
}

function open(layout: Layout, options: WorkerOptions): BegunDatabase {
  const database = openForWriting(layout.database, warn);
  try {
    const statements = new WriteStatements(database);
    const begun = beginRun(layout, statements, options);
    return { ...begun, database, statements };
  } catch (error) {
    database.close();
    throw error;
  }
}
