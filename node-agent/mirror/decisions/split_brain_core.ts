/**
 * Who loses its changes after a split brain: the policies `after-sb-0pri`,
 * `after-sb-1pri` and `after-sb-2pri` of DRBD 8.4.
 *
 * Both nodes decide alone, with the sides exchanged, and must come to mirrored
 * answers. By default every policy is `disconnect`: nobody loses anything, and
 * a person decides with `connect --discard-my-data`.
 *
 * @module
 */

import type { Generation } from "./generations_core.ts";
import type { Role } from "./mirror_state.ts";

/** Policies without a Primary. */
export type ZeroPrimariesPolicy =
  | "disconnect"
  | "discard-younger-primary"
  | "discard-older-primary"
  | "discard-zero-changes"
  | "discard-least-changes"
  | "discard-local"
  | "discard-remote";

/** Policies with one Primary. */
export type OnePrimaryPolicy =
  | "disconnect"
  | "consensus"
  | "discard-secondary"
  | "violently-as0p"
  | "call-pri-lost-after-sb";

/** Policies with two Primaries. */
export type TwoPrimariesPolicy =
  | "disconnect"
  | "violently-as0p"
  | "call-pri-lost-after-sb";

/** What a Primary does that would have to become sync target. */
export type RrConflictPolicy = "disconnect" | "call-pri-lost" | "violently";

/** The options of a connection that decide after a split brain. */
export interface SplitBrainPolicies {
  readonly afterSb0pri: ZeroPrimariesPolicy;
  readonly afterSb1pri: OnePrimaryPolicy;
  readonly afterSb2pri: TwoPrimariesPolicy;
  /** `always-asbp`: decide also where the bitmaps have no common base. */
  readonly alwaysAsbp: boolean;
  readonly rrConflict: RrConflictPolicy;
}

/** DRBD's defaults: nothing is decided automatically. */
export const SPLIT_BRAIN_DEFAULTS: SplitBrainPolicies = {
  afterSb0pri: "disconnect",
  afterSb1pri: "disconnect",
  afterSb2pri: "disconnect",
  alwaysAsbp: false,
  rrConflict: "disconnect",
};

/** What the policies look at, of one node. */
export interface DividedSide {
  /** Its bitmap generation: bit 0 tells who became Primary first. */
  readonly bitmap: Generation;
  /** Blocks that differ according to this node. */
  readonly outOfSyncBlocks: number;
  readonly role: Role;
}

/** One split brain, seen from us. */
export interface Division {
  readonly self: DividedSide;
  readonly peer: DividedSide;
  /** Exactly one of the two nodes has this; it breaks ties by losing. */
  readonly resolveConflicts: boolean;
  /** Whether we could become Secondary now: nobody holds the device open. */
  readonly couldDemote: boolean;
}

/** Who keeps its data: us, the peer, or nobody decided. */
export type Winner = "self" | "peer" | "undecided";

/** The answer of {@link resolveSplitBrain}. */
export interface Resolution {
  readonly winner: Winner;
  /** We must become Secondary for it, which is possible. */
  readonly demote: boolean;
  /** The handler `pri-lost-after-sb` must be called: we cannot demote. */
  readonly callPriLost: boolean;
}

/** Apply the policy for the number of nodes that are Primary now. */
export function resolveSplitBrain(
  division: Division,
  policies: SplitBrainPolicies,
): Resolution {
  const verdict = () => withoutPrimary(division, policies.afterSb0pri);
  const isPrimary = division.self.role === "Primary";
  const primaries = Number(isPrimary) +
    Number(division.peer.role === "Primary");
  if (primaries === 0) return decided(verdict());
  const policy = primaries === 1 ? policies.afterSb1pri : policies.afterSb2pri;
  switch (policy) {
    case "disconnect":
      return decided("undecided");
    case "discard-secondary":
      return decided(isPrimary ? "self" : "peer");
    case "consensus": {
      const primary = isPrimary ? "self" : "peer";
      return decided(verdict() === primary ? primary : "undecided");
    }
    case "violently-as0p":
      return decided(verdict());
    case "call-pri-lost-after-sb":
      return giveUpPrimary(verdict(), division);
  }
}

/** A Primary that must lose becomes Secondary first, or the split stays. */
function giveUpPrimary(winner: Winner, division: Division): Resolution {
  if (winner !== "peer" || division.self.role !== "Primary") {
    return decided(winner);
  }
  if (division.couldDemote) return { winner, demote: true, callPriLost: false };
  return { winner: "undecided", demote: false, callPriLost: true };
}

function decided(winner: Winner): Resolution {
  return { winner, demote: false, callPriLost: false };
}

function withoutPrimary(
  division: Division,
  policy: ZeroPrimariesPolicy,
): Winner {
  switch (policy) {
    case "disconnect":
      return "undecided";
    case "discard-younger-primary":
      return olderPrimary(division) ?? fewestChangesLose(division);
    case "discard-older-primary":
      return youngerPrimary(division) ?? fewestChangesLose(division);
    case "discard-zero-changes":
      return noChangesLose(division) ?? "undecided";
    case "discard-least-changes":
      return fewerChangesLose(division);
    case "discard-local":
      return "peer";
    case "discard-remote":
      return "self";
  }
}

/**
 * The node whose bitmap generation has bit 0 was Primary when the link was
 * lost; the other one became Primary later.
 */
function olderPrimary({ self, peer }: Division): Winner | undefined {
  const selfWas = (self.bitmap & 1n) === 1n;
  const peerWas = (peer.bitmap & 1n) === 1n;
  if (selfWas === peerWas) return undefined;
  return selfWas ? "self" : "peer";
}

function youngerPrimary(division: Division): Winner | undefined {
  const older = olderPrimary(division);
  if (older === undefined) return undefined;
  return older === "self" ? "peer" : "self";
}

function fewestChangesLose(division: Division): Winner {
  return noChangesLose(division) ?? fewerChangesLose(division);
}

function noChangesLose(division: Division): Winner | undefined {
  const { self, peer } = division;
  if (self.outOfSyncBlocks === 0 && peer.outOfSyncBlocks === 0) {
    return tieBreak(division);
  }
  if (peer.outOfSyncBlocks === 0) return "self";
  return self.outOfSyncBlocks === 0 ? "peer" : undefined;
}

function fewerChangesLose(division: Division): Winner {
  const { self, peer } = division;
  if (self.outOfSyncBlocks === peer.outOfSyncBlocks) return tieBreak(division);
  return self.outOfSyncBlocks > peer.outOfSyncBlocks ? "self" : "peer";
}

function tieBreak({ resolveConflicts }: Division): Winner {
  return resolveConflicts ? "peer" : "self";
}
