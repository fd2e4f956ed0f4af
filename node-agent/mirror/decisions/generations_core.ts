/**
 * Generation identifiers: the names that a volume's data has and had.
 *
 * A set is four 64-bit values. `current` names the data that is here, `bitmap`
 * the data that the peer had when the out-of-sync bitmap began to count (0: the
 * bitmap counts nothing), the two `history` values are older names, newest
 * first. Two values are special: 0 is empty, 4 is "just created". Bit 0 says
 * "was Primary while using this generation"; comparisons ignore it.
 *
 * @module
 */

/** A generation identifier, 0 to 2^64 - 1. */
export type Generation = bigint;

/** What one node knows its data by. */
export interface GenerationSet {
  readonly current: Generation;
  readonly bitmap: Generation;
  /** Newest first. */
  readonly history: readonly [Generation, Generation];
}

/** No name at all. */
export const EMPTY_GENERATION: Generation = 0n;

/** What `create-md` writes: no data anybody could want. */
export const JUST_CREATED: Generation = 4n;

/** Bit 0: the node was Primary while it used this generation. */
export const WAS_PRIMARY: Generation = 1n;

/** What a sync source adds to its bitmap generation, modulo 2^64. */
export const SYNC_OFFSET: Generation = 1n << 48n;

/** The set that `create-md` writes. */
export const CREATED_SET: GenerationSet = {
  current: JUST_CREATED,
  bitmap: EMPTY_GENERATION,
  history: [EMPTY_GENERATION, EMPTY_GENERATION],
};

/** Whether two identifiers name the same data; bit 0 is ignored. */
export function sameGeneration(a: Generation, b: Generation): boolean {
  return (a | WAS_PRIMARY) === (b | WAS_PRIMARY);
}

/** Whether two sets are equal, bit 0 included. */
export function sameSet(a: GenerationSet, b: GenerationSet): boolean {
  return a.current === b.current && a.bitmap === b.bitmap &&
    a.history[0] === b.history[0] && a.history[1] === b.history[1];
}

/** The bitmap generation a source in state `base` announces for its resync. */
export function syncGeneration(base: Generation): Generation {
  return BigInt.asUintN(64, base + SYNC_OFFSET);
}

/** 16 hex digits, as `drbdmeta get-gi` prints them. */
export function formatGeneration(generation: Generation): string {
  return generation.toString(16).toUpperCase().padStart(16, "0");
}
