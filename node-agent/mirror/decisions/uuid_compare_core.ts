/**
 * Whose data is newer? The comparison of two sets of generation identifiers,
 * DRBD 8.4's table: the first rule that matches decides.
 *
 * Both nodes run it with the sides exchanged and must come to mirrored answers.
 * In 8.4 some pairs do not (restored snapshots, `set-gi`): each node finds its
 * own current generation in the other's past and both want to be target. With
 * the hardening `mutualMatchIsSplitBrain` such a pair is a split brain.
 *
 * @module
 */

import type { GenerationSet } from "./generations_core.ts";
import {
  type ComparedSide,
  isRelatedOnly,
  pointsBothWays,
  UUID_RULES,
  type Verdict,
} from "./uuid_rules_core.ts";

export {
  type ComparedSide,
  type Verdict,
  VERDICT_CODES,
} from "./uuid_rules_core.ts";

/** Options of the comparison. */
export interface CompareOptions {
  /** Exactly one of the two nodes has this; it breaks ties. */
  readonly resolveConflicts: boolean;
  /** Hardening, see the module comment. Off: exactly as DRBD 8.4. */
  readonly mutualMatchIsSplitBrain: boolean;
  /** Hardening: one's bitmap counts from a past of the other: split brain. */
  readonly relatedIsSplitBrain?: boolean;
}

/** The answer of {@link compareGenerations}. */
export interface Comparison {
  readonly verdict: Verdict;
  /** DRBD's number of the rule that matched. */
  readonly rule: number;
  /** Our set, after the repair that the rule asks for. */
  readonly self: GenerationSet;
  /** Our copy of the peer's set, repaired the same way. */
  readonly peer: GenerationSet;
}

/** Compare our generations with the peer's. Total: every pair has an answer. */
export function compareGenerations(
  self: ComparedSide,
  peer: ComparedSide,
  options: CompareOptions,
): Comparison {
  const s = self.generations;
  const p = peer.generations;
  const { resolveConflicts } = options;
  const pair = { self, peer, s, p, resolveConflicts };
  const found = UUID_RULES.find((rule) => rule.when(pair));
  if (found === undefined) throw new Error("The last rule matches always");
  if (options.mutualMatchIsSplitBrain && pointsBothWays(pair)) {
    return { verdict: "splitBrain", rule: found.rule, self: s, peer: p };
  }
  if (options.relatedIsSplitBrain && isRelatedOnly(pair, found)) {
    return { verdict: "splitBrain", rule: found.rule, self: s, peer: p };
  }
  return {
    verdict: typeof found.verdict === "string"
      ? found.verdict
      : found.verdict(pair),
    rule: found.rule,
    self: found.repairSelf?.(s) ?? s,
    peer: found.repairPeer?.(p) ?? p,
  };
}
