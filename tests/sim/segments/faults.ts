/**
 * What goes wrong in the simulated packer: disks, and rules that are left out.
 *
 * @module
 */

/** What a write does: nothing wrong, half of it, or all of it and no flush. */
export type Fault = "none" | "full" | "write" | "flush";

/** What may be left out or done wrong, for the checkers to notice. */
export type Mutation =
  | "copies are not flushed"
  | "moves are not flushed"
  | "named segments are removed"
  | "deleted files are moved"
  | "leftovers stay at a start"
  | "leftovers stay when a path is mended"
  | "failed appends stay"
  | "unknown commits are taken back"
  | "repaired records are not marked"
  | "moved records are not marked"
  | "later segments go first"
  | "what is known is cut"
  | "lost ends are resumed"
  | "nothing is compacted";

/** A write or flush failed. */
export class DiskFailure extends Error {}
/** A disk is full: nothing is broken. */
export class Full extends Error {}
/** A commit failed, and may be stored all the same. */
export class LogClosed extends Error {}
