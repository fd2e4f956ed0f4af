/**
 * DRBD 8.4's rules for comparing two sets of generation identifiers, in order:
 * the first one that matches decides. Numbers are DRBD's, for its log lines and
 * for the oracle vectors. `uuid_compare_core.ts` applies them.
 *
 * @module
 */

import {
  EMPTY_GENERATION,
  type GenerationSet,
  JUST_CREATED,
  sameGeneration,
  syncGeneration,
} from "./generations_core.ts";

/** What the bare identifiers say, seen from us. */
export type Verdict =
  | "equal"
  | "sourceByBitmap"
  | "targetByBitmap"
  | "fullSource"
  | "fullTarget"
  /** Both changed since a common generation: a policy may decide. */
  | "splitBrainSinceCommonBase"
  /** Both changed, and the bitmaps do not count from one common point. */
  | "splitBrain"
  | "unrelated";

/** DRBD's result code of each verdict. */
export const VERDICT_CODES: Readonly<Record<Verdict, number>> = {
  equal: 0,
  sourceByBitmap: 1,
  targetByBitmap: -1,
  fullSource: 2,
  fullTarget: -2,
  splitBrainSinceCommonBase: 100,
  splitBrain: -100,
  unrelated: -1000,
};

/** What the comparison looks at, of one node. */
export interface ComparedSide {
  readonly generations: GenerationSet;
  /** It was Primary when it stopped without demoting. */
  readonly crashedPrimary: boolean;
  /** It is Primary now. */
  readonly isPrimary: boolean;
}

/** Both sides of one comparison; `s` and `p` are their sets. */
export interface Pair {
  readonly self: ComparedSide;
  readonly peer: ComparedSide;
  readonly s: GenerationSet;
  readonly p: GenerationSet;
  /** Exactly one of the two nodes has this; it breaks ties. */
  readonly resolveConflicts: boolean;
}

/** One row: a condition, what it means, and how it mends the sets. */
export interface UuidRule {
  /** DRBD's number. */
  readonly rule: number;
  readonly when: (pair: Pair) => boolean;
  readonly verdict: Verdict | ((pair: Pair) => Verdict);
  readonly repairSelf?: (set: GenerationSet) => GenerationSet;
  readonly repairPeer?: (set: GenerationSet) => GenerationSet;
}

/** The table. The last row matches always. */
export const UUID_RULES: readonly UuidRule[] = [
  {
    rule: 10,
    when: ({ s, p }) => isJustCreated(s) && isJustCreated(p),
    verdict: "equal",
  },
  {
    rule: 20,
    when: ({ s, p }) => isBlank(s) && !isJustCreated(p),
    verdict: "fullTarget",
  },
  { rule: 30, when: ({ p }) => isBlank(p), verdict: "fullSource" },
  {
    rule: 34,
    when: ({ s, p }) => sameCurrent(s, p) && missedFinish(s, p),
    verdict: "sourceByBitmap",
    repairSelf: finishSource,
  },
  {
    rule: 36,
    when: ({ s, p }) => sameCurrent(s, p) && onlyFirstCounts(s, p),
    verdict: "sourceByBitmap",
  },
  {
    rule: 35,
    when: ({ s, p }) => sameCurrent(s, p) && missedFinish(p, s),
    verdict: "targetByBitmap",
    repairPeer: finishSource,
  },
  {
    rule: 37,
    when: ({ s, p }) => sameCurrent(s, p) && onlyFirstCounts(p, s),
    verdict: "targetByBitmap",
  },
  {
    rule: 41,
    when: ({ s, p, self, peer }) =>
      sameCurrent(s, p) && (self.crashedPrimary || peer.crashedPrimary) &&
      (self.isPrimary || peer.isPrimary),
    verdict: currentPrimaryWins,
  },
  {
    rule: 40,
    when: ({ s, p }) => sameCurrent(s, p),
    verdict: crashedPrimaryWins,
  },
  {
    rule: 50,
    when: ({ s, p }) => sameGeneration(s.current, p.bitmap),
    verdict: "targetByBitmap",
  },
  {
    rule: 51,
    when: ({ s, p }) => startedSyncUnheard(p, s),
    verdict: "targetByBitmap",
    repairPeer: undoSyncStart,
  },
  { rule: 60, when: ({ s, p }) => isPastOf(s, p), verdict: "fullTarget" },
  {
    rule: 70,
    when: ({ s, p }) => sameGeneration(s.bitmap, p.current),
    verdict: "sourceByBitmap",
  },
  {
    rule: 71,
    when: ({ s, p }) => startedSyncUnheard(s, p),
    verdict: "sourceByBitmap",
    repairSelf: undoSyncStart,
  },
  { rule: 80, when: ({ s, p }) => isPastOf(p, s), verdict: "fullSource" },
  {
    rule: 90,
    when: ({ s, p }) =>
      sameGeneration(s.bitmap, p.bitmap) &&
      !sameGeneration(s.bitmap, EMPTY_GENERATION),
    verdict: "splitBrainSinceCommonBase",
  },
  // 8.4 counts two empty histories as a common past; so does this table.
  { rule: 100, when: shareHistory, verdict: "splitBrain" },
  { rule: 100, when: () => true, verdict: "unrelated" },
];

function isJustCreated(set: GenerationSet): boolean {
  return sameGeneration(set.current, JUST_CREATED);
}

function isEmpty(set: GenerationSet): boolean {
  return sameGeneration(set.current, EMPTY_GENERATION);
}

function isBlank(set: GenerationSet): boolean {
  return isJustCreated(set) || isEmpty(set);
}

function sameCurrent(a: GenerationSet, b: GenerationSet): boolean {
  return sameGeneration(a.current, b.current);
}

/** `a` still counts out-of-sync blocks, `b` does not. */
function onlyFirstCounts(a: GenerationSet, b: GenerationSet): boolean {
  return b.bitmap === EMPTY_GENERATION && a.bitmap !== EMPTY_GENERATION;
}

/** `source` did not hear that the resync towards `target` was finished. */
function missedFinish(source: GenerationSet, target: GenerationSet): boolean {
  return onlyFirstCounts(source, target) &&
    sameGeneration(source.bitmap, target.history[0]) &&
    sameGeneration(source.history[0], target.history[1]);
}

/** `source` began a resync of which `target` never heard. */
function startedSyncUnheard(
  source: GenerationSet,
  target: GenerationSet,
): boolean {
  return sameGeneration(target.current, source.history[0]) &&
    sameGeneration(syncGeneration(source.history[0]), source.bitmap);
}

/** The data of `old` is a past of `newer`. */
function isPastOf(old: GenerationSet, newer: GenerationSet): boolean {
  return newer.history.some((past) => sameGeneration(past, old.current));
}

function shareHistory({ s, p }: Pair): boolean {
  return s.history.some((mine) =>
    p.history.some((theirs) => sameGeneration(mine, theirs))
  );
}

function currentPrimaryWins({ self, peer }: Pair): Verdict {
  if (self.isPrimary && peer.isPrimary) return "splitBrain";
  return self.isPrimary ? "sourceByBitmap" : "targetByBitmap";
}

function crashedPrimaryWins({ self, peer, resolveConflicts }: Pair): Verdict {
  if (!self.crashedPrimary && !peer.crashedPrimary) return "equal";
  if (self.crashedPrimary && peer.crashedPrimary) {
    return resolveConflicts ? "targetByBitmap" : "sourceByBitmap";
  }
  return self.crashedPrimary ? "sourceByBitmap" : "targetByBitmap";
}

/** Each side's data is a past of the other's, or neither side has any. */
export function pointsBothWays({ s, p }: Pair): boolean {
  if (isBlank(s) || isBlank(p)) return isEmpty(s) && isEmpty(p);
  return !sameCurrent(s, p) && isBehind(s, p) && isBehind(p, s);
}

function isBehind(a: GenerationSet, b: GenerationSet): boolean {
  return sameGeneration(a.current, b.bitmap) || startedSyncUnheard(b, a) ||
    isPastOf(a, b);
}

/** What a source does at the end of a resync: the base becomes history. */
function finishSource(set: GenerationSet): GenerationSet {
  return {
    current: set.current,
    bitmap: EMPTY_GENERATION,
    history: [set.bitmap, set.history[0]],
  };
}

/** Take back what becoming a source changed. */
function undoSyncStart(set: GenerationSet): GenerationSet {
  return {
    current: set.current,
    bitmap: set.history[0],
    history: [set.history[1], set.history[1]],
  };
}

/**
 * The table calls the pair unrelated, but the bitmap of one counts from a past
 * of the other: a resync was interrupted, and both went on by themselves.
 */
export function isRelatedOnly({ s, p }: Pair, found: UuidRule): boolean {
  if (found.verdict !== "unrelated") return false;
  const countsFromPast = (one: GenerationSet, other: GenerationSet) =>
    one.bitmap !== EMPTY_GENERATION &&
    other.history.some((past) => sameGeneration(past, one.bitmap));
  return countsFromPast(s, p) || countsFromPast(p, s);
}
