/**
 * What the data on a disk are worth by what its metadata say, with nobody to
 * compare them with.
 *
 * Source: DRBD 8.4, reference §2.7.
 *
 * @module
 */

import {
  compareDisk,
  type DiskState,
  isConnected,
  type MirrorState,
} from "../decisions/mirror_state.ts";
import type { PersistentFlags, VolumeConfig } from "./volume_types.ts";

/** Both disks as one node sees them without its peer. */
export interface DisksAlone {
  readonly disk: DiskState;
  readonly peerDisk: DiskState;
}

/**
 * @param trusts A node may rely on its own data without asking the peer.
 * @param isSuspect The disk failed before its writes were stable.
 */
export function disksAlone(
  flags: PersistentFlags,
  { trusts, isSuspect }: { trusts: boolean; isSuspect: boolean },
): DisksAlone {
  const peerDisk: DiskState = flags.peerOutdated ? "Outdated" : "DUnknown";
  const disk = diskByFlags(flags);
  if (isSuspect && compareDisk(disk, "Outdated") > 0) {
    return { disk: "Outdated", peerDisk };
  }
  const isGood = disk === "Consistent" && (trusts || flags.peerOutdated);
  return { disk: isGood ? "UpToDate" : disk, peerDisk };
}

/**
 * Whether the peer goes on without a disk that fails. With fencing such a disk
 * must not be used alone later.
 */
export function goesOnWithout(
  { fencing }: Pick<VolumeConfig, "fencing">,
  { connection, peerDisk }: MirrorState,
): boolean {
  return fencing !== "dont-care" && isConnected(connection) &&
    peerDisk === "UpToDate";
}

function diskByFlags(flags: PersistentFlags): DiskState {
  if (!flags.consistent) return "Inconsistent";
  return flags.wasUpToDate ? "Consistent" : "Outdated";
}
