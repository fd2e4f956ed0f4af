/**
 * The tables of an agent's database, as drizzle sees them.
 *
 * Column names are the property names, so that a row of node:sqlite already has
 * the type that drizzle infers. The tables are made by `migrations.ts`; a test
 * compares the two.
 *
 * @module
 */

import { blob, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** Single facts: node, store, incarnation, clean flag, register and more. */
export const state = sqliteTable("state", {
  key: text("key").primaryKey(),
  value: text("value").notNull(),
});

/** Store paths that this database knows; a path without a row is new. */
export const paths = sqliteTable("paths", {
  /** `M00` is 0. */
  pathIndex: integer("pathIndex").primaryKey(),
  /** Why it takes no more bytes after an I/O error; `null` is sound. */
  fenced: text("fenced"),
});

/** Our own log. */
export const changes = sqliteTable("changes", {
  incarnation: integer("incarnation").notNull(),
  sequence: integer("sequence").notNull(),
  /** 1 when the change is a delete. */
  tombstone: integer("tombstone").notNull(),
  /** The change as JSON. */
  record: text("record").notNull(),
  /** CRC-32 of `incarnation:sequence:record`: a wrong one stops the log. */
  crc32: integer("crc32").notNull(),
});

/** The index: one row per file ID that was ever known here. */
export const files = sqliteTable("files", {
  id: text("id").primaryKey(),
  /** 1 when deleted. */
  tombstone: integer("tombstone").notNull(),
  epoch: integer("epoch").notNull(),
  version: integer("version").notNull(),
  origin: integer("origin").notNull(),
  sizeBytes: integer("sizeBytes").notNull(),
  crc32: integer("crc32").notNull(),
  sha256: text("sha256"),
  type: text("type"),
  name: text("name"),
  /** JSON; `null` is no metadata. */
  meta: text("meta"),
  createdS: integer("createdS").notNull(),
  appender: integer("appender").notNull(),
  master: text("master"),
  /** Store path that holds the content here. */
  pathIndex: integer("pathIndex").notNull(),
  /** 1 when the content is missing or wrong here. */
  damaged: integer("damaged").notNull(),
  /** CRC-32 of every MiB, little endian; `null` for files of one block. */
  blockCrcs: blob("blockCrcs", { mode: "buffer" }).$type<Uint8Array>(),
});

/** Deleted files that may be forgotten one day, in the order stored here. */
export const tombstones = sqliteTable("tombstones", {
  /** Grows with every tombstone that is stored in one run of the agent. */
  stamp: integer("stamp").primaryKey(),
  id: text("id").notNull().unique(),
});

/** What must still be brought to the disk, or back to it after a crash. */
export const unsettled = sqliteTable("unsettled", {
  number: integer("number").primaryKey(),
  id: text("id").notNull(),
  epoch: integer("epoch").notNull(),
  version: integer("version").notNull(),
  /** One of `UnsettledKind`. */
  kind: text("kind").notNull(),
  pathIndex: integer("pathIndex").notNull(),
  /** Staging file, or "". */
  token: text("token").notNull(),
  /** Where the bytes go, for an append. */
  offset: integer("offset").notNull(),
  /** The bytes themselves, when small. */
  payload: blob("payload", { mode: "buffer" }).$type<Uint8Array>(),
});

/** How far every other origin's log was applied. */
export const positions = sqliteTable("positions", {
  origin: integer("origin").notNull(),
  incarnation: integer("incarnation").notNull(),
  sequence: integer("sequence").notNull(),
});

/** Idempotency keys of the last day. */
export const idempotency = sqliteTable("idempotency", {
  key: text("key").primaryKey(),
  id: text("id").notNull(),
  sha256: text("sha256").notNull(),
  /** Epoch of the upload: of two with one key the later epoch counts. */
  epoch: integer("epoch").notNull(),
  /** Wall clock at the upload, in ms since the Unix epoch. */
  usedMs: integer("usedMs").notNull(),
});

/** Files that hold the bytes of many small ones. */
export const segments = sqliteTable("segments", {
  pathIndex: integer("pathIndex").notNull(),
  /** Its name, as a number from 1. */
  segment: integer("segment").notNull(),
  /** Bytes that were stored; what lies beyond was never stored. */
  sizeBytes: integer("sizeBytes").notNull(),
  /** Bytes of the rows of `packed` that name it; triggers count them. */
  liveBytes: integer("liveBytes").notNull(),
});

/** Files whose bytes lie in a segment; the others have a file of their own. */
export const packed = sqliteTable("packed", {
  id: text("id").primaryKey(),
  pathIndex: integer("pathIndex").notNull(),
  segment: integer("segment").notNull(),
  /** Where the record begins. */
  offset: integer("offset").notNull(),
  /** Length of the record. */
  lengthBytes: integer("lengthBytes").notNull(),
});

/** A row of {@linkcode packed}. */
export type PackedRow = typeof packed.$inferSelect;
/** A row of {@linkcode segments}. */
export type SegmentRow = typeof segments.$inferSelect;
/** A row of {@linkcode files}. */
export type FileRow = typeof files.$inferSelect;
/** A row of {@linkcode changes}. */
export type ChangeRow = typeof changes.$inferSelect;
/** A row of {@linkcode unsettled}. */
export type UnsettledRow = typeof unsettled.$inferSelect;
/**
 * How an unsettled row is finished: bytes become the file, bytes go to its end,
 * a staging file becomes the file, bytes at its end are there already, or the
 * file goes away.
 */
export type UnsettledKind = "write" | "extend" | "rename" | "join" | "unlink";
