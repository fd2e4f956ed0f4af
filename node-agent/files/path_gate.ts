/**
 * Lets a store path in, or keeps it out: markers, fences, staging folders.
 *
 * A path carries a marker that names the database it belongs to. A path that
 * this database knows but that has no marker, or another's, is a disk that is
 * not mounted or was swapped: it is `missing`, and never made anew in silence.
 *
 * @module
 */

import type { WriteStatements } from "./statements.ts";
import type { PathState } from "./worker_messages.ts";
import {
  cannotExist,
  describeError,
  makeDurableDir,
  writeDurableSync,
} from "./disk.ts";
import type { Layout } from "./layout.ts";

/** What a store path's marker file says. */
export interface PathMarker {
  /** Identity of the database that the path belongs to. */
  readonly store: string;
  /** Its index there. */
  readonly index: number;
}

const MARKER_BYTES_MAX = 4096;

/**
 * Look at every store path, and make those that are new.
 *
 * @param layout Where they are.
 * @param statements The open database.
 * @param store Its identity.
 * @returns One state per path.
 */
export function openStorePaths(
  layout: Layout,
  statements: WriteStatements,
  store: string,
): PathState[] {
  const known = new Map(
    statements.paths.all({}).map((row) => [row.pathIndex, row.fenced]),
  );
  const states: PathState[] = [];
  for (let index = 0; index < layout.pathCount; index++) {
    const fenced = known.get(index);
    try {
      const reason = known.has(index)
        ? checkMarker(layout, index, store)
        : enter(layout, index, store);
      if (reason === undefined && !known.has(index)) {
        statements.putPath.run({ pathIndex: index, fenced: null });
      }
      if (reason !== undefined) states.push({ state: "missing", reason });
      else if (typeof fenced === "string") {
        states.push({ state: "fenced", reason: fenced });
      } else {
        makeDurableDir(layout.staging(index));
        states.push({ state: "writable", reason: undefined });
      }
    } catch (error) {
      states.push({ state: "missing", reason: describeError(error) });
    }
  }
  return states;
}

/** Why a known path is not let in, or `undefined`. */
function checkMarker(
  layout: Layout,
  index: number,
  store: string,
): string | undefined {
  const marker = readMarker(layout.marker(index));
  if (marker === undefined) {
    return "its marker file is missing: is the disk mounted?";
  }
  if (marker.store !== store) return "the disk belongs to another store";
  if (marker.index !== index) {
    return `the disk is store path ${marker.index} of this store`;
  }
  return undefined;
}

/** Make a path that this database has not seen, if nothing is in it. */
function enter(
  layout: Layout,
  index: number,
  store: string,
): string | undefined {
  if (readMarker(layout.marker(index)) !== undefined) {
    return checkMarker(layout, index, store);
  }
  const data = layout.data(index);
  makeDurableDir(data);
  for (const entry of Deno.readDirSync(data)) {
    if (entry.name === ".kedge-path.new") continue; // a crash while entering
    return "it holds files of no known store; see `kedge agent " +
      "rebuild-index`, or `kedge import fastdfs --in-place` for FastDFS's";
  }
  writeMarker(layout, index, store);
  return undefined;
}

/** Say whose path this is; durable when it returns. */
export function writeMarker(
  layout: Layout,
  index: number,
  store: string,
): void {
  const marker: PathMarker = { store, index };
  writeDurableSync(layout.marker(index), JSON.stringify(marker) + "\n");
}

/** Read a marker; `undefined` when there is none or it says nothing. */
export function readMarker(path: string): PathMarker | undefined {
  let text: string;
  try {
    if (Deno.statSync(path).size > MARKER_BYTES_MAX) return undefined;
    text = Deno.readTextFileSync(path);
  } catch (error) {
    if (cannotExist(error)) return undefined;
    throw error;
  }
  try {
    const { store, index } = JSON.parse(text);
    if (typeof store !== "string" || typeof index !== "number") {
      return undefined;
    }
    return { store, index };
  } catch {
    return { store: "unreadable", index: -1 };
  }
}

/** Whether the disk of a store path is there; one that does not say is not. */
export function isMounted(
  layout: Layout,
  index: number,
  store: string | undefined,
): boolean {
  try {
    const marker = readMarker(layout.marker(index));
    return marker?.index === index && marker.store === store;
  } catch {
    return false;
  }
}

/**
 * Whether a store path lies on the file system of the database. If it hangs
 * nothing can be stored anyhow, and the event loop hangs at the quick log.
 */
export function isWithDatabase(layout: Layout, index: number): boolean {
  try {
    const { dev } = Deno.statSync(layout.database);
    return Deno.statSync(layout.staging(index)).dev === dev;
  } catch {
    return false;
  }
}
