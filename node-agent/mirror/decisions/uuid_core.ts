/**
 * When generation identifiers change, and into what. Comparison is elsewhere
 * (`uuid_compare_core.ts`); storing the result durably, **before** anything
 * that depends on it, is the caller's.
 *
 * Random values are arguments: 64 random bits each.
 *
 * @module
 */

import {
  EMPTY_GENERATION,
  type Generation,
  type GenerationSet,
  JUST_CREATED,
  sameGeneration,
  syncGeneration,
  WAS_PRIMARY,
} from "./generations_core.ts";
import type { Hardenings } from "./hardenings_core.ts";

/** What happened to a Primary (or is about to). */
export type GenerationEvent =
  /** It was promoted without a peer that has a disk. */
  | "promoted-alone"
  /** It lost the peer, or the peer its disk. */
  | "peer-lost"
  /** A write is about to go to no peer's disk. */
  | "unreplicated-write";

/** What decides whether a new generation begins. */
export interface GenerationCase {
  readonly set: GenerationSet;
  readonly event: GenerationEvent;
  /**
   * Writes are answered, or will be, that the peer may not have: in flight when
   * it was lost, or marked out of sync before.
   */
  readonly hasUnreplicatedWrites: boolean;
  /**
   * The peer may have taken our current generation for its own: we were
   * connected since it began. True after every attach.
   */
  readonly mayBeShared: boolean;
}

/**
 * Whether a Primary must begin a new generation now, before it goes on.
 *
 * DRBD 8.4 does so at promotion and at once when the peer is lost, and never
 * while the bitmap counts already. Hardened, it is done with the first write
 * that the peer lacks, and also when a resync was under way: the target may
 * have finished it unheard, and then has our current generation.
 */
export function needsNewGeneration(
  { set, event, hasUnreplicatedWrites, mayBeShared }: GenerationCase,
  hardenings: Hardenings,
): boolean {
  const counts = set.bitmap !== EMPTY_GENERATION;
  const peerMayFollow = counts && mayBeShared &&
    hardenings.newGenerationDuringResync;
  if (counts && !peerMayFollow) return false;
  if (event === "unreplicated-write") return true;
  if (event === "peer-lost" && hasUnreplicatedWrites) return true;
  return !hardenings.newGenerationAtFirstWrite && !counts;
}

/**
 * A new generation: the bitmap counts from the old one on, unless it counts
 * from an older one already; then the old one is kept as history.
 */
export function beginGeneration(
  set: GenerationSet,
  random: Generation,
  isPrimary: boolean,
): GenerationSet {
  const current = ofRole(random, isPrimary);
  if (set.bitmap === EMPTY_GENERATION) {
    return { ...set, current, bitmap: set.current };
  }
  const [newest] = set.history;
  // A resync that the target never heard of is recognised by its base, which
  // must stay the newest past (rules 51 and 71).
  const history = sameGeneration(syncGeneration(newest), set.bitmap)
    ? [newest, set.current] as const
    : [set.current, newest] as const;
  return { ...set, current, history };
}

/**
 * Everything is marked out of sync, so the bitmap counts from whatever data the
 * peer has. A peer without data (0 or 4) has no name to count from.
 */
export function countFrom(
  set: GenerationSet,
  peerCurrent: Generation,
): GenerationSet {
  const hasName = !sameGeneration(peerCurrent, EMPTY_GENERATION) &&
    !sameGeneration(peerCurrent, JUST_CREATED);
  if (!hasName || sameGeneration(peerCurrent, set.bitmap)) return set;
  const [newest = EMPTY_GENERATION, oldest = EMPTY_GENERATION] = [
    set.bitmap,
    ...set.history,
  ].filter((past) =>
    past !== EMPTY_GENERATION && !sameGeneration(past, peerCurrent)
  );
  return {
    current: set.current,
    bitmap: peerCurrent,
    history: [newest, oldest],
  };
}

/** The sync source's set, and the generation that it tells the target. */
export interface SyncStart {
  readonly set: GenerationSet;
  /** The target's current generation until the resync is finished. */
  readonly announced: Generation;
}

/** Become sync source. */
export function startSource(set: GenerationSet, random: Generation): SyncStart {
  const { bitmap } = set;
  const isNamed = bitmap !== EMPTY_GENERATION && bitmap !== JUST_CREATED;
  const announced = isNamed ? syncGeneration(bitmap) : random;
  const kept = bitmap === EMPTY_GENERATION ? set : rotated(set, bitmap);
  return { set: { ...kept, bitmap: announced }, announced };
}

/** Become sync target: the source announced this generation. */
export function startTarget(
  set: GenerationSet,
  announced: Generation,
): GenerationSet {
  return {
    ...set,
    current: ofRole(announced, false),
    bitmap: EMPTY_GENERATION,
  };
}

/** The resync is finished, at the source. */
export function finishSource(set: GenerationSet): GenerationSet {
  return clearBitmapGeneration(set);
}

/**
 * The resync is finished, at the target: it is what the source is.
 *
 * `source` is the source's set as it was told in the handshake, before the
 * resync began; ours still carries the announced generation.
 */
export function finishTarget(
  set: GenerationSet,
  source: GenerationSet,
): GenerationSet {
  const copied = source.bitmap === EMPTY_GENERATION
    ? source
    : rotated(source, source.bitmap);
  const interim = { ...copied, bitmap: set.current };
  return clearBitmapGeneration({
    ...interim,
    current: ofRole(source.current, false),
  });
}

/** The bitmap counts nothing any more: its generation becomes history. */
export function clearBitmapGeneration(set: GenerationSet): GenerationSet {
  if (set.bitmap === EMPTY_GENERATION) return set;
  return { ...rotated(set, set.bitmap), bitmap: EMPTY_GENERATION };
}

/** Both nodes were just created and declared equal: one common generation. */
export function skipInitialSync(random: Generation): GenerationSet {
  return {
    current: ofRole(random, false),
    bitmap: EMPTY_GENERATION,
    history: [EMPTY_GENERATION, EMPTY_GENERATION],
  };
}

function rotated(set: GenerationSet, newest: Generation): GenerationSet {
  return { ...set, history: [newest, set.history[0]] };
}

function ofRole(generation: Generation, isPrimary: boolean): Generation {
  return isPrimary ? generation | WAS_PRIMARY : generation & ~WAS_PRIMARY;
}
