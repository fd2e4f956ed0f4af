/**
 * What the FastDFS gateway of a node has counted since its agent started: in
 * heartbeats, and from there to the monitors of FastDFS.
 *
 * @module
 */

import { z } from "zod";

const Count = z.int().min(0);
/** All that were asked for, and those of them that were done. */
const Tally = z.object({ total: Count, success: Count });

/** Counted since the agent started. Numbers alone: no names, no addresses. */
export const FastdfsStats = z.object({
  /** When the gateway was opened, in seconds since the Unix epoch. */
  startedS: Count,
  /** Connections to the storage side. */
  connections: z.object({ current: Count, most: Count }),
  /** Requests. */
  upload: Tally,
  append: Tally,
  modify: Tally,
  truncate: Tally,
  setMeta: Tally,
  delete: Tally,
  download: Tally,
  getMeta: Tally,
  createLink: Tally,
  /** Bytes of content. */
  uploadBytes: Tally,
  appendBytes: Tally,
  modifyBytes: Tally,
  downloadBytes: Tally,
  /**
   * When a change was last made here, through any door, in seconds since the
   * Unix epoch, to within the pause between two heartbeats; 0 is never.
   */
  sourceUpdateS: Count,
  /** When a change of another member was last stored here, likewise. */
  syncUpdateS: Count,
});
/** Counted since the agent started. */
export type FastdfsStats = z.infer<typeof FastdfsStats>;

/** The kinds of requests that are counted. */
export type FastdfsTally =
  | "upload"
  | "append"
  | "modify"
  | "truncate"
  | "setMeta"
  | "delete"
  | "download"
  | "getMeta"
  | "createLink";
