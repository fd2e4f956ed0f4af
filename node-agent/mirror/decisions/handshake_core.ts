/**
 * The handshake: both nodes have told their generations and states; who copies
 * what from whom, or why there is no connection.
 *
 * Each node decides alone. The decisions are mirrored (one source, one target)
 * or both drop; `tests/sim/mirror_handshake_exhaustive_test.ts` searches for
 * pairs that are not. Order of the steps: DRBD 8.4.
 *
 * @module
 */

import type { GenerationSet } from "./generations_core.ts";
import type {
  DropReason,
  HandshakeHandler,
  HandshakeOptions,
  HandshakeOutcome,
  HandshakeSide,
} from "./handshake_words_state.ts";
import { HARDENED, type Hardenings } from "./hardenings_core.ts";
import { compareDisk } from "./mirror_state.ts";
import { type DividedSide, resolveSplitBrain } from "./split_brain_core.ts";
import {
  compareGenerations,
  type Comparison,
  VERDICT_CODES,
} from "./uuid_compare_core.ts";
import { countFrom } from "./uuid_core.ts";

export type {
  DropReason,
  HandshakeHandler,
  HandshakeOptions,
  HandshakeOutcome,
  HandshakeSide,
} from "./handshake_words_state.ts";

/** A direction found on the way: positive = we are source. */
interface Direction {
  /** +1, -1; 0 for nobody. */
  readonly sign: number;
  readonly full: boolean;
}

/** Decide what follows. Total: every pair of sides has an outcome. */
export function decideHandshake(
  self: HandshakeSide,
  peer: HandshakeSide,
  options: HandshakeOptions,
): HandshakeOutcome {
  const hardenings = options.hardenings ?? HARDENED;
  const comparison = compareGenerations(
    comparedSide(self),
    comparedSide(peer),
    {
      resolveConflicts: options.resolveConflicts,
      mutualMatchIsSplitBrain: hardenings.mutualMatchIsSplitBrain,
      relatedIsSplitBrain: hardenings.relatedIsSplitBrain,
    },
  );
  const judged = { self, peer, options, hardenings, comparison };
  if (comparison.verdict === "unrelated") {
    return drop(judged, "unrelated-data", NOTHING_DONE);
  }
  const plain = directionByDisks(judged) ?? directionOfTie(judged) ??
    directionOfMissedEnd(judged) ?? directionByVerdict(judged);
  if (plain !== undefined) return finish(judged, plain, NOTHING_DONE);
  return settleSplitBrain(judged);
}

interface Judged {
  readonly self: HandshakeSide;
  readonly peer: HandshakeSide;
  readonly options: HandshakeOptions;
  readonly hardenings: Hardenings;
  readonly comparison: Comparison;
}

/** What was done on the way to an outcome. */
interface Done {
  readonly handlers: readonly HandshakeHandler[];
  readonly demote: boolean;
}

const NOTHING_DONE: Done = { handlers: [], demote: false };

function comparedSide(side: HandshakeSide) {
  return {
    generations: side.generations,
    crashedPrimary: side.crashedPrimary,
    isPrimary: side.role === "Primary",
  };
}

/** Exactly one Inconsistent disk, the other better: the better one is source. */
function directionByDisks(judged: Judged): Direction | undefined {
  const { self, peer, comparison } = judged;
  const selfRank = compareDisk(self.disk, "Inconsistent");
  const peerRank = compareDisk(peer.disk, "Inconsistent");
  const decides = (selfRank === 0 && peerRank > 0) ||
    (peerRank === 0 && selfRank > 0);
  if (!decides) return undefined;
  const { verdict } = comparison;
  return {
    sign: selfRank > 0 ? 1 : -1,
    full: verdict === "fullSource" || verdict === "fullTarget" ||
      verdict === "splitBrain",
  };
}

/** Rules 40 and 41: equal generations; crashes only suggest a direction. */
function directionOfTie(judged: Judged): Direction | undefined {
  const { comparison } = judged;
  const isTie = comparison.rule === 40 || comparison.rule === 41;
  const suggested = VERDICT_CODES[comparison.verdict];
  if (!isTie || Math.abs(suggested) !== 1) return undefined;
  const sign = [byDisk(judged), bySurvival(judged)].find((each) => each !== 0);
  return sign === undefined ? undefined : { sign, full: false };
}

/**
 * Rules 34 and 35: a source that did not hear of the end of its resync. Its
 * target had everything by then; the source may have lost since what was never
 * flushed there, with its power or its disk, or has old names because its disk
 * lied about the newer ones.
 */
function directionOfMissedEnd(judged: Judged): Direction | undefined {
  const { self, peer, comparison: { rule } } = judged;
  if (rule !== 34 && rule !== 35) return undefined;
  const toTarget = rule === 34 ? -1 : 1;
  const source = rule === 34 ? self : peer;
  const isWorse = source.disk === "Outdated" && byDisk(judged) === toTarget;
  // A Primary goes on with what its application has seen.
  const isUnsure = source.role !== "Primary" &&
    bySurvival(judged) === toTarget;
  return isWorse || isUnsure ? { sign: toTarget, full: false } : undefined;
}

/** Whose disk is the better one: +1 ours, -1 the peer's. */
function byDisk({ self, peer, hardenings }: Judged): number {
  if (!hardenings.betterDiskBreaksTies) return 0;
  return Math.sign(compareDisk(self.disk, peer.disk));
}

/** Who has certainly all that was answered: +1 we, -1 the peer. */
function bySurvival({ self, peer, hardenings }: Judged): number {
  if (!hardenings.survivorBreaksTies) return 0;
  return Number(self.stayedUp ?? false) - Number(peer.stayedUp ?? false);
}

function directionByVerdict(judged: Judged): Direction | undefined {
  switch (judged.comparison.verdict) {
    case "sourceByBitmap":
      return { sign: 1, full: false };
    case "targetByBitmap":
      return { sign: -1, full: false };
    case "fullSource":
      return { sign: 1, full: true };
    case "fullTarget":
      return { sign: -1, full: true };
    case "equal":
      return judged.hardenings.neverDropBits
        ? directionOfBits(judged)
        : { sign: 0, full: false };
    default:
      return undefined;
  }
}

/** Equal generations: whoever is better, Primary, sure or marked blocks is source. */
function directionOfBits(judged: Judged): Direction | undefined {
  const { self, peer, options } = judged;
  const nobody = { sign: 0, full: false };
  if (self.outOfSyncBlocks === 0 && peer.outOfSyncBlocks === 0) return nobody;
  const sign = [
    Math.sign(compareDisk(self.disk, peer.disk)),
    Number(self.role === "Primary") - Number(peer.role === "Primary"),
    bySurvival(judged),
    Number(self.outOfSyncBlocks > 0) - Number(peer.outOfSyncBlocks > 0),
    options.resolveConflicts ? -1 : 1,
  ].find((each) => each !== 0) ?? 0;
  const source = sign > 0 ? self : peer;
  // Two new volumes without any data stay as they are, and keep their bits.
  if (compareDisk(source.disk, "Inconsistent") <= 0) return nobody;
  return { sign, full: false };
}

function settleSplitBrain(judged: Judged): HandshakeOutcome {
  const { self, peer, options, hardenings, comparison } = judged;
  const commonBase = comparison.verdict === "splitBrainSinceCommonBase";
  const handlers: HandshakeHandler[] = ["initial-split-brain"];
  const discard = directionOfDiscard(judged, commonBase);
  if (hardenings.discardGoesFirst && discard !== undefined) {
    return finish(judged, discard, { handlers, demote: false });
  }
  if (commonBase || options.policies.alwaysAsbp) {
    const resolution = resolveSplitBrain({
      self: dividedSide(self, comparison.self),
      peer: dividedSide(peer, comparison.peer),
      resolveConflicts: options.resolveConflicts,
      couldDemote: options.couldDemote,
    }, options.policies);
    if (resolution.callPriLost) handlers.push("pri-lost-after-sb");
    const isFit = !hardenings.betterDiskBreaksTies ||
      isFitToWin(resolution.winner, self, peer);
    if (resolution.winner !== "undecided" && isFit) {
      const sign = resolution.winner === "self" ? 1 : -1;
      const done = { handlers, demote: resolution.demote };
      return finish(judged, { sign, full: !commonBase }, done);
    }
  }
  if (discard !== undefined) {
    return finish(judged, discard, { handlers, demote: false });
  }
  handlers.push("split-brain");
  return drop(judged, "split-brain", { handlers, demote: false });
}

/** A policy does not replace good data by those of an Outdated disk. */
function isFitToWin(
  winner: "self" | "peer" | "undecided",
  self: HandshakeSide,
  peer: HandshakeSide,
): boolean {
  const [first, second] = winner === "self" ? [self, peer] : [peer, self];
  return first.disk !== "Outdated" || second.disk === "Outdated";
}

/** `--discard-my-data` on exactly one side decides. */
function directionOfDiscard(
  { self, peer, hardenings }: Judged,
  commonBase: boolean,
): Direction | undefined {
  if (self.discardMyData === peer.discardMyData) return undefined;
  return {
    sign: self.discardMyData ? -1 : 1,
    full: !commonBase && hardenings.fullSyncWithoutCommonBase,
  };
}

function dividedSide(side: HandshakeSide, set: GenerationSet): DividedSide {
  return {
    bitmap: set.bitmap,
    outOfSyncBlocks: side.outOfSyncBlocks,
    role: side.role,
  };
}

function finish(
  judged: Judged,
  direction: Direction,
  done: Done,
): HandshakeOutcome {
  const { self, options, comparison } = judged;
  if (direction.sign > 0 && compareDisk(self.disk, "Inconsistent") <= 0) {
    return drop(judged, "source-without-data", done);
  }
  const isPrimary = self.role === "Primary" && !done.demote;
  if (
    direction.sign < 0 && isPrimary && compareDisk(self.disk, "Consistent") >= 0
  ) {
    const { rrConflict } = options.policies;
    if (rrConflict !== "violently") {
      const handlers: readonly HandshakeHandler[] = rrConflict === "disconnect"
        ? done.handlers
        : [...done.handlers, "pri-lost"];
      return drop(judged, "primary-would-be-target", { ...done, handlers });
    }
  }
  if (options.tentative === true) return drop(judged, "tentative", done);
  const isFullSource = direction.sign > 0 && direction.full;
  return {
    next: nextOf(direction),
    setWholeBitmap: direction.full,
    ...done,
    comparison,
    generations: isFullSource && judged.hardenings.countFromPeer
      ? countFrom(comparison.self, comparison.peer.current)
      : comparison.self,
  };
}

function nextOf({ sign }: Direction): HandshakeOutcome["next"] {
  if (sign === 0) return "Connected";
  return sign > 0 ? "WFBitMapS" : "WFBitMapT";
}

function drop(
  { comparison }: Judged,
  dropReason: DropReason,
  done: Done,
): HandshakeOutcome {
  return {
    next: "drop",
    dropReason,
    setWholeBitmap: false,
    ...done,
    comparison,
    generations: comparison.self,
  };
}
