/**
 * What a group agrees on about one file, and how two opinions merge.
 *
 * State per file ID is a lattice: absent < present(epoch, version) < tombstone.
 * A file has one writer at a time (`ownerOf` in register.ts), so of two present
 * states the one with the higher (epoch, version) contains the other, and a
 * tombstone wins over everything. Merging is therefore the maximum: idempotent,
 * commutative, safe to repeat and to reorder.
 *
 * @module
 */

import { z } from "zod";
import { NodeId } from "./group.ts";
import {
  FILE_NAME_BYTES_MAX,
  META_ENTRIES_MAX,
  META_NAME_BYTES_MAX,
  META_VALUE_BYTES_MAX,
} from "./limits.ts";

/** User metadata of a file. Limits are FastDFS's. */
export const FileMeta = z.record(
  z.string().min(1).max(META_NAME_BYTES_MAX),
  z.string().max(META_VALUE_BYTES_MAX),
).refine((meta) => Object.keys(meta).length <= META_ENTRIES_MAX, {
  error: `at most ${META_ENTRIES_MAX} entries`,
});
/** User metadata of a file. */
export type FileMeta = z.infer<typeof FileMeta>;

/** What a node knows of one file. */
export const FileEntry = z.object({
  /** Whole file ID, such as `group1/M00/02/44/….jpg`. */
  id: z.string().min(1).max(160),
  /** Whether it can be read or was deleted. */
  state: z.enum(["present", "tombstone"]),
  /** Epoch under which the last change was made. */
  epoch: z.int().min(0),
  /** Counts the changes of this file, from 1. */
  version: z.int().min(1),
  /** The node that made the file. */
  origin: NodeId,
  /** Length of the content, in bytes. */
  sizeBytes: z.int().min(0),
  /** CRC-32 of the content. */
  crc32: z.int().min(0).max(0xffff_ffff),
  /** SHA-256 of the content in hex; `null` once an appender was changed. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/).nullable(),
  /** Stored content type, or `null`: then the extension decides. */
  type: z.string().max(255).nullable(),
  /** Name that the uploader gave: data only, never a path. */
  name: z.string().max(FILE_NAME_BYTES_MAX).nullable(),
  /** User metadata. */
  meta: FileMeta,
  /** Seconds since the Unix epoch at creation. For people. */
  createdS: z.int().min(0),
  /** Whether it may be appended to. */
  appender: z.boolean(),
  /** ID of the master of a derived ("slave") file. */
  master: z.string().max(160).nullable(),
});
/** What a node knows of one file. */
export type FileEntry = z.infer<typeof FileEntry>;

/** How the new content comes from the old one. */
export const ChangeBody = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("none") })
    .describe("Content is unchanged: metadata or delete"),
  z.object({ kind: z.literal("whole") })
    .describe("The bytes of the change are the whole content"),
  z.object({
    kind: z.literal("range"),
    /** Where the bytes go. At the old end: an append. */
    offset: z.int().min(0),
    /** How many bytes. */
    lengthBytes: z.int().min(0),
    /** The change applies only to this version of this file. */
    baseEpoch: z.int().min(0),
    baseVersion: z.int().min(1),
  }).describe("The bytes replace or extend a part"),
  z.object({
    kind: z.literal("truncate"),
    baseEpoch: z.int().min(0),
    baseVersion: z.int().min(1),
  }).describe("Content is cut or extended with zeros to the entry's size"),
]);
/** How the new content comes from the old one. */
export type ChangeBody = z.infer<typeof ChangeBody>;

/** One change of one file: the whole new state, and how to get its content. */
export const Change = z.object({
  entry: FileEntry,
  body: ChangeBody,
  /** `Idempotency-Key` of the upload: every holder remembers it for a day. */
  key: z.string().regex(/^[\x21-\x7e]{1,255}$/).optional(),
});
/** One change of one file. */
export type Change = z.infer<typeof Change>;

/** The order of states of one file; what {@linkcode compareEntries} reads. */
export type EntryOrder = Pick<FileEntry, "state" | "epoch" | "version">;

/**
 * Order two states of the same file.
 *
 * @returns Negative when `b` is newer, positive when `a` is, 0 when equal.
 *
 * @example A tombstone wins over any later version
 * ```ts
 * import { compareEntries } from "@kedge/schema/change";
 * import assert from "node:assert/strict";
 *
 * const dead = { state: "tombstone", epoch: 1, version: 2 } as const;
 * const alive = { state: "present", epoch: 9, version: 9 } as const;
 * assert(compareEntries(dead, alive) > 0);
 * ```
 */
export function compareEntries(a: EntryOrder, b: EntryOrder): number {
  const dead = Number(a.state === "tombstone") -
    Number(b.state === "tombstone");
  return dead || a.epoch - b.epoch || a.version - b.version;
}
