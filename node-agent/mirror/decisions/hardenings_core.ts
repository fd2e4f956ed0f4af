/**
 * Where the mirror is stricter than DRBD 8.4. All on by default; off only to be
 * compared with DRBD's own answers, and to prove that each one is needed.
 *
 * @module
 */

/** Switches, each with the loss it prevents. */
export interface Hardenings {
  /**
   * Each node finds its data in the other's past: split brain. 8.4 makes both
   * of them target, and the connection hangs or fails.
   */
  readonly mutualMatchIsSplitBrain: boolean;
  /**
   * Equal generations but blocks marked out of sync: resync those blocks. 8.4
   * only logs "No resync, but N bits in bitmap!", and DRBD 9 has lost data that
   * way (LINBIT/drbd#145).
   */
  readonly neverDropBits: boolean;
  /**
   * Equal generations and different disks: the better disk is source. Goes with
   * `newGenerationAtFirstWrite`: two crashed Primaries may then have equal
   * generations, and drawing lots (rule 40) may choose the outdated one over
   * writes that the other answered while their bitmaps were being exchanged.
   */
  readonly betterDiskBreaksTies: boolean;
  /**
   * Equal generations after a crash: the node that was in sync and stayed up is
   * source. 8.4 takes the crashed Primary, whose page cache may be gone with
   * writes that were answered and that the other one still has.
   */
  readonly survivorBreaksTies: boolean;
  /**
   * `--discard-my-data` on exactly one node decides before any policy. In 8.4 a
   * policy goes first, and both nodes may decide to be source.
   */
  readonly discardGoesFirst: boolean;
  /**
   * A discard without a common base of the two bitmaps copies everything. In
   * 8.4 it copies only the blocks that either bitmap happens to name.
   */
  readonly fullSyncWithoutCommonBase: boolean;
  /**
   * One node's bitmap counts from a past of the other: a split brain, which a
   * discard resolves. 8.4 calls the data unrelated when a resync was
   * interrupted before both went on.
   */
  readonly relatedIsSplitBrain: boolean;
  /**
   * A full resync: the bitmap counts from the peer's generation on, since all
   * of it is marked. Otherwise it goes on counting from an older one, and a
   * resync that is interrupted twice ends as a needless split brain.
   */
  readonly countFromPeer: boolean;
  /**
   * A new generation begins with the first write after losing the peer, and not
   * with the promotion: a promotion alone makes no split brain.
   */
  readonly newGenerationAtFirstWrite: boolean;
  /**
   * A source that loses its target begins a new generation with its next write
   * although its bitmap counts already. In 8.4 it does not; a target that
   * finished unheard has the same generation, and if it is promoted and writes,
   * the source's own writes are overwritten silently.
   */
  readonly newGenerationDuringResync: boolean;
}

/** How the mirror runs. */
export const HARDENED: Hardenings = {
  mutualMatchIsSplitBrain: true,
  neverDropBits: true,
  betterDiskBreaksTies: true,
  survivorBreaksTies: true,
  discardGoesFirst: true,
  fullSyncWithoutCommonBase: true,
  relatedIsSplitBrain: true,
  countFromPeer: true,
  newGenerationAtFirstWrite: true,
  newGenerationDuringResync: true,
};

/** Exactly as DRBD 8.4, for its vectors. */
export const AS_DRBD_84: Hardenings = {
  mutualMatchIsSplitBrain: false,
  neverDropBits: false,
  betterDiskBreaksTies: false,
  survivorBreaksTies: false,
  discardGoesFirst: false,
  fullSyncWithoutCommonBase: false,
  relatedIsSplitBrain: false,
  countFromPeer: false,
  newGenerationAtFirstWrite: false,
  newGenerationDuringResync: false,
};
