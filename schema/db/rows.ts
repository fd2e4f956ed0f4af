/**
 * Between a file entry and its row in the index.
 *
 * @module
 */

import { type EntryOrder, type FileEntry, FileMeta } from "../change.ts";
import type { FileRow } from "./tables.ts";

/** What a node keeps about a file beside its entry. */
export type Bookkeeping = Pick<FileRow, "pathIndex" | "damaged" | "blockCrcs">;

/** The row of an entry. */
export function rowOf(entry: FileEntry, own: Bookkeeping): FileRow {
  return {
    id: entry.id,
    tombstone: entry.state === "tombstone" ? 1 : 0,
    epoch: entry.epoch,
    version: entry.version,
    origin: entry.origin,
    sizeBytes: entry.sizeBytes,
    crc32: entry.crc32,
    sha256: entry.sha256,
    type: entry.type,
    name: entry.name,
    meta: hasOwnKeys(entry.meta) ? JSON.stringify(entry.meta) : null,
    createdS: entry.createdS,
    appender: entry.appender ? 1 : 0,
    master: entry.master,
    pathIndex: own.pathIndex,
    damaged: own.damaged,
    blockCrcs: own.blockCrcs,
  };
}

/**
 * The entry of a row.
 *
 * @throws {Error} When the row's metadata is not what was stored.
 */
export function entryOf(row: FileRow): FileEntry {
  return {
    id: row.id,
    state: row.tombstone === 1 ? "tombstone" : "present",
    epoch: row.epoch,
    version: row.version,
    origin: row.origin,
    sizeBytes: row.sizeBytes,
    crc32: row.crc32,
    sha256: row.sha256,
    type: row.type,
    name: row.name,
    meta: row.meta === null ? {} : FileMeta.parse(JSON.parse(row.meta)),
    createdS: row.createdS,
    appender: row.appender === 1,
    master: row.master,
  };
}

/** The order of a row's state, without making the whole entry. */
export function orderOf(row: FileRow): EntryOrder {
  const { tombstone, epoch, version } = row;
  const state = tombstone === 1 ? "tombstone" : "present";
  return { state, epoch, version };
}

function hasOwnKeys(meta: FileMeta): boolean {
  for (const _key in meta) return true;
  return false;
}
