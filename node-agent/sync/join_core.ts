/**
 * How a member that is out of sync gets in again, one step at a time.
 *
 * Everything happens under one epoch; when that moves, the steps start over
 * (what was copied stays, so the next comparison is short):
 *
 * ```text
 * links to every in-sync member, steady
 *   ─▶ compare with one of them, both ways
 *   ─▶ ask every one of them to wait for us ─▶ promised by all
 *   ─▶ grow
 * ```
 *
 * The comparison comes first because from the promises on, every upload of the
 * group waits for us.
 *
 * Why this is enough (ack before grow): a change answered at B or C is held by
 * every in-sync member of its epoch. If it was answered under an earlier epoch,
 * the member that we compare with had it before it took up this epoch, so the
 * comparison brings it. If it was answered under this epoch, then by an in-sync
 * member: before its promise (then the promise waited until we held it) or after
 * (then the answer waited for us).
 *
 * @module
 */

import type { GroupRegister, NodeId } from "@kedge/schema";
import { type Peer, peerCounts } from "./peer_core.ts";
import type { SafetyRules } from "./rules_core.ts";

/** The next thing to do. */
export type JoinStep =
  | { readonly kind: "wait" }
  | { readonly kind: "compare"; readonly donor: Peer }
  | { readonly kind: "ask"; readonly peers: readonly Peer[] }
  | { readonly kind: "grow" };

/** What the steps depend on. */
export interface JoinView {
  readonly register: GroupRegister;
  readonly peers: ReadonlyMap<NodeId, Peer>;
  readonly nowMs: number;
  /** No step before this time: a link that flaps must not move epochs. */
  readonly notBeforeMs: number;
  /** The comparison under way. */
  readonly comparing: NodeId | undefined;
  /** Epoch of the last comparison that succeeded. */
  readonly comparedEpoch: number;
  readonly rules: SafetyRules;
}

/** How long a question may stay unanswered before it is asked again, in ms. */
const ASK_AGAIN_MS = 500;

/** Decide the next step of a member that is not in sync. */
export function nextJoinStep(view: JoinView): JoinStep {
  const { register, rules } = view;
  if (view.nowMs < view.notBeforeMs) return { kind: "wait" };
  if (register.insync.length === 0) return { kind: "wait" };
  const donors: Peer[] = [];
  for (const node of register.insync) {
    const peer = view.peers.get(node);
    if (peer?.session === undefined) return { kind: "wait" };
    if (!peerCounts(peer, register, rules)) return { kind: "wait" };
    donors.push(peer);
  }
  if (rules.compareBeforeGrow && view.comparedEpoch !== register.epoch) {
    return compareStep(donors, view);
  }
  const silent = donors.filter((peer) => peer.promisedUs !== register.epoch);
  if (silent.length === 0 || !rules.promiseBeforeGrow) return { kind: "grow" };
  const due = silent.filter((peer) =>
    view.nowMs >= peer.askedMs + ASK_AGAIN_MS
  );
  return due.length === 0 ? { kind: "wait" } : { kind: "ask", peers: due };
}

function compareStep(donors: readonly Peer[], view: JoinView): JoinStep {
  if (view.comparing !== undefined) return { kind: "wait" };
  // Another one after a failure: the one that was asked longest ago.
  const [donor] = donors.toSorted((a, b) =>
    a.askedMs - b.askedMs || a.node - b.node
  );
  if (donor === undefined || view.nowMs < donor.askedMs + ASK_AGAIN_MS) {
    return { kind: "wait" };
  }
  return { kind: "compare", donor };
}
