/**
 * What a change of a node's state means for the checkers, and words for traces.
 *
 * @module
 */

import type { MirrorFrame } from "@kedge/schema/wire/mirror";
import type { MirrorState } from "../../../node-agent/mirror/decisions/mirror_state.ts";
import type { SplitBrainPolicies } from "../../../node-agent/mirror/decisions/split_brain_core.ts";

/** Whether some policy decides at all. */
export function decides(policies: SplitBrainPolicies): boolean {
  const { afterSb0pri, afterSb1pri, afterSb2pri } = policies;
  return [afterSb0pri, afterSb1pri, afterSb2pri].some((policy) =>
    policy !== "disconnect"
  );
}

/** Whether they decide only where nobody loses anything. */
export function losesNothing(policies: SplitBrainPolicies): boolean {
  const { afterSb0pri, afterSb1pri, afterSb2pri } = policies;
  return afterSb0pri === "discard-zero-changes" &&
    (afterSb1pri === "consensus" || afterSb1pri === "disconnect") &&
    afterSb2pri === "disconnect";
}

/** The peer's data are what this node has, or reads, from now on. */
export function joinsPeer(before: MirrorState, after: MirrorState): boolean {
  if (before.connection === after.connection) return false;
  if (after.connection === "WFBitMapT") return true;
  if (after.connection !== "Connected" || after.peerDisk !== "UpToDate") {
    return false;
  }
  return after.disk !== "UpToDate" || after.peerRole === "Primary";
}

/** A state in one line. */
export function inWords(s: MirrorState): string {
  return `${s.connection} ${s.role}/${s.peerRole} ${s.disk}/${s.peerDisk}`;
}

/** A frame in one line. */
export function brief(frame: MirrorFrame): string {
  const parts = Object.entries(frame).map(([name, value]) => {
    if (value instanceof Uint8Array) return `${name}[${value.length}]`;
    if (typeof value === "object") return JSON.stringify(value);
    return name === "kind" ? `${value}` : `${name}=${value}`;
  });
  return parts.join(" ");
}
