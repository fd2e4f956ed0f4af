/**
 * Whether a node's database was set back to an older copy: a data folder from a
 * backup, a snapshot of a virtual machine. Pure.
 *
 * Every start of an agent has an identity, and the database remembers the starts
 * that led to it. The start that reported last must be among them, otherwise
 * there was a later state than the one that reports now. Positions in logs would
 * not do: what was set back may have written as much again.
 *
 * @module
 */

import type { Heartbeat, NodeReport } from "@kedge/schema";

/**
 * | report                                                | verdict    |
 * | ----------------------------------------------------- | ---------- |
 * | of a start that the stored one knows as a former one  | `late`     |
 * | node checks itself in this run anyway                 | `as-known` |
 * | another database, or one of them names no start       | `as-known` |
 * | stored as set back, and not checked since             | `set-back` |
 * | of the same start, or one that has the stored one     | `as-known` |
 * | otherwise                                             | `set-back` |
 *
 * `late`: a request of an earlier life that was on its way for long.
 */
export type RunVerdict = "as-known" | "set-back" | "late";

/** Decide; see the table above. */
export function judgeRun(
  stored: NodeReport | undefined,
  heartbeat: Heartbeat,
): RunVerdict {
  const { run, store } = heartbeat;
  const last = stored?.heartbeat;
  if (run === undefined || last?.run === undefined) return "as-known";
  if (last.store !== store) return "as-known";
  if (last.run.former.includes(run.id)) return "late";
  if (run.isChecking) return "as-known";
  if (stored?.isSetBack) return "set-back";
  const follows = run.id === last.run.id || run.former.includes(last.run.id);
  return follows ? "as-known" : "set-back";
}
