/**
 * Whose database lies in a data folder: read beside a running agent or without
 * one, changing nothing.
 *
 * @module
 */

import { z } from "zod";
import { GroupName, GroupRegister, NodeId, StoreId } from "@kedge/schema";
import { openForReading } from "./database.ts";
import { describeError, exists } from "./disk.ts";
import { Layout } from "./layout.ts";

const StoredOwner = z.object({
  store: StoreId,
  node: z.coerce.number().pipe(NodeId),
  group: GroupName,
});

/** Whose database it is. */
export interface DatabaseOwner {
  /** Identity of the database. */
  readonly store: string;
  /** Number of its node. */
  readonly node: NodeId;
  /** Group of its node. */
  readonly group: string;
  /** The register that the node acted under last. */
  readonly register: GroupRegister | undefined;
}

/**
 * Read whose database lies in a folder.
 *
 * @param dataDir Folder of the database.
 * @returns `undefined` when there is none, or one that nobody has used yet.
 * @throws {Error} When there is one that cannot be read.
 */
export function databaseOwner(dataDir: string): DatabaseOwner | undefined {
  const path = new Layout(dataDir, []).database;
  if (!exists(path) || Deno.statSync(path).size === 0) return undefined;
  try {
    const facts = stateOf(path);
    if (facts.get("store") === undefined) return undefined;
    const owner = StoredOwner.parse(Object.fromEntries(facts));
    const saved = facts.get("register");
    const register = saved === undefined
      ? undefined
      : GroupRegister.parse(JSON.parse(saved));
    return { ...owner, register };
  } catch (error) {
    throw new Error(
      `Cannot read whose database "${path}" is: ${describeError(error)}. ` +
        "Restore it from a copy, or move it away and make it again from the " +
        "files with `kedge agent rebuild-index`",
    );
  }
}

/** Every fact; none in a database that was made but not begun. */
function stateOf(path: string): Map<string, string> {
  const database = openForReading(path);
  try {
    const table = database
      .prepare("SELECT 1 FROM sqlite_schema WHERE name = 'state'").get();
    if (table === undefined) return new Map();
    const rows = database.prepare("SELECT key, value FROM state").all();
    return new Map(rows.map(({ key, value }) => [String(key), String(value)]));
  } finally {
    database.close();
  }
}
