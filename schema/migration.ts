/**
 * What operators ask and hear of an import from FastDFS, and of an export.
 *
 * @module
 */

import { z } from "zod";

/** A folder on the node's host. Nothing of it is ever part of a file's name. */
const Folder = z.string().max(1024).regex(/^\/[^\0\n]*$/, {
  error: "must be an absolute path on the node's host",
});

/** How files come into the store. */
export const ImportMode = z.enum(["copy", "link", "in-place"]);
/** How files come into the store. */
export type ImportMode = z.infer<typeof ImportMode>;

/** Take the files of a FastDFS storage in. */
export const ImportRequest = z.object({
  kind: z.literal("import"),
  /** `base_path` of the storage; its `M00` too unless `storePaths` says it. */
  base: Folder,
  /** Its group, if the caller knows it: the node must be of that group. */
  group: z.string().max(16).nullable(),
  /** `store_path0`, `store_path1`, … */
  storePaths: z.array(Folder).max(256),
  mode: ImportMode,
  /** Read and verify everything, change nothing. */
  dryRun: z.boolean(),
  /** Delete what its binlogs say was deleted there since it was taken in. */
  followDeletes: z.boolean().default(false),
  /** Bytes read per second at most; 0 is no limit. */
  bytesPerS: z.int().min(0),
});
/** Take the files of a FastDFS storage in. */
export type ImportRequest = z.infer<typeof ImportRequest>;

/** Write all files as a FastDFS storage has them. */
export const ExportRequest = z.object({
  kind: z.literal("export"),
  /** Folder that becomes `base_path`; empty, or an export that broke off. */
  to: Folder,
  bytesPerS: z.int().min(0),
});
/** Write all files as a FastDFS storage has them. */
export type ExportRequest = z.infer<typeof ExportRequest>;

/** Either. */
export const MigrationRequest = z.discriminatedUnion("kind", [
  ImportRequest,
  ExportRequest,
]);
/** Either. */
export type MigrationRequest = z.infer<typeof MigrationRequest>;

/** A file, or something else, that was not taken, or that had to go. */
export const MigrationProblem = z.object({
  /**
   * `damaged`: the content is not what the ID says, or cannot be read;
   * `deleted`: a delete made in FastDFS was followed, or would be.
   */
  kind: z.enum(["damaged", "skipped", "deleted"]),
  /** For programs. */
  reason: z.string(),
  /** File ID or path. */
  name: z.string(),
  /** For people. */
  detail: z.string(),
});
/** A file, or something else, that was not taken. */
export type MigrationProblem = z.infer<typeof MigrationProblem>;

const count = z.int().min(0);

/** How far it is, or how it ended. */
export const MigrationView = z.object({
  request: MigrationRequest,
  /** Group of the node: the first part of every ID. */
  group: z.string(),
  state: z.enum(["running", "done", "stopped", "failed"]),
  /** What it is doing. */
  phase: z.enum(["counting", "files", "packed", "ending"]),
  /** Why it failed. */
  why: z.string().nullable(),
  elapsedMs: z.number(),
  /** Found by counting; files may come and go meanwhile. */
  filesTotal: count,
  bytesTotal: count,
  /** Looked at, whatever the outcome. */
  filesDone: count,
  bytesDone: count,
  /** Taken in (or written, or good in a dry run), by kind. */
  done: z.object({
    normal: count,
    appender: count,
    derived: count,
    packed: count,
    duplicate: count,
  }),
  /** Of those: taken in again because they changed in FastDFS. */
  replaced: count,
  /** Of those: with metadata. */
  withMeta: count,
  /** Were here already. */
  known: count,
  /** Copied although a link was asked for, and why. */
  copied: count,
  copiedWhy: z.string().nullable(),
  damaged: count,
  skipped: count,
  /** Deletes made in FastDFS that were followed, or would be. */
  deleted: count.default(0),
  /** How many problems of each reason. */
  reasons: z.record(z.string(), count),
  /** Problems from the offset that was asked for, at most 1,000. */
  problems: z.array(MigrationProblem),
  /** File on the node's host with one problem per line, as JSON. */
  report: z.string(),
});
/** How far it is, or how it ended. */
export type MigrationView = z.infer<typeof MigrationView>;

/** Problems told at once. */
export const MIGRATION_PROBLEMS_PAGE = 1000;
