/**
 * What of a volume's state is in its superblock, and how it is told there.
 *
 * Source: DRBD 8.4, reference §4.3 (flags of the metadata).
 *
 * @module
 */

import type { MetaFlag, MetaSuperblock } from "@kedge/schema/disk/superblock";
import type { PersistentFlags, PersistentState } from "../core/volume_types.ts";

const SECTOR_BYTES = 512;

const FLAG_NAMES: Readonly<Record<keyof PersistentFlags, MetaFlag>> = {
  consistent: "Consistent",
  primary: "PrimaryInd",
  connected: "ConnectedInd",
  fullSync: "FullSync",
  wasUpToDate: "WasUpToDate",
  peerOutdated: "PeerOutDated",
  crashedPrimary: "CrashedPrimary",
};

const KNOWN: ReadonlySet<MetaFlag> = new Set(Object.values(FLAG_NAMES));

function flagsOf(flags: PersistentFlags): MetaFlag[] {
  const names = Object.keys(FLAG_NAMES) as (keyof PersistentFlags)[];
  return names.filter((name) => flags[name]).map((name) => FLAG_NAMES[name]);
}

/** The state that a superblock tells. */
export function stateOf(superblock: MetaSuperblock): PersistentState {
  const { uuids, flags, laSizeSectors } = superblock;
  const has = (name: keyof PersistentFlags) => flags.has(FLAG_NAMES[name]);
  return {
    generations: {
      current: uuids.current,
      bitmap: uuids.bitmap,
      history: uuids.history,
    },
    flags: {
      consistent: has("consistent"),
      primary: has("primary"),
      connected: has("connected"),
      fullSync: has("fullSync"),
      wasUpToDate: has("wasUpToDate"),
      peerOutdated: has("peerOutdated"),
      crashedPrimary: has("crashedPrimary"),
    },
    agreedBytes: laSizeSectors * SECTOR_BYTES,
    epoch: superblock.registerEpoch,
  };
}

/**
 * The parts of a superblock that tell a state.
 *
 * @param there Flags that are there; those that say nothing of the state stay.
 */
export function partsOf(
  { generations, flags, agreedBytes, epoch }: PersistentState,
  there: ReadonlySet<MetaFlag>,
) {
  const kept = [...there].filter((flag) => !KNOWN.has(flag));
  const { current, bitmap, history } = generations;
  return {
    uuids: { current, bitmap, history },
    flags: new Set([...kept, ...flagsOf(flags)]),
    laSizeSectors: agreedBytes / SECTOR_BYTES,
    registerEpoch: epoch,
    isSealed: true,
  };
}
