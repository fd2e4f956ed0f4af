/**
 * What a state of the volume makes of the metadata's flags.
 *
 * Source: DRBD 8.4, reference §4.3 (recomputed at every change of state).
 *
 * @module
 */

import {
  compareConnection,
  compareDisk,
  type ConnectionState,
  isConnected,
  type MirrorState,
} from "../decisions/mirror_state.ts";
import type { PersistentFlags } from "./volume_types.ts";

/** On these the peer's data are about to be replaced. */
export const SOURCE_CONNECTIONS: ReadonlySet<ConnectionState> = new Set([
  "StartingSyncS",
  "WFBitMapS",
  "PausedSyncS",
  "Ahead",
]);

/** What the state alone does not tell of the peer's disk. */
export interface KnownOfPeer {
  /** It has been sent everything: it may be good by now. */
  readonly isCopied: boolean;
  /** It was good, and may not have heard yet that it is a target. */
  readonly isGood: boolean;
  /** With a fencing policy: we have writes that it lacks. */
  readonly lacksWrites: boolean;
}

/** Flags that follow from a state; those of a disk that is not in use do not. */
export function flagsOf(
  { disk, peerDisk, role, peerRole, connection }: MirrorState,
  { isCopied, isGood, lacksWrites }: KnownOfPeer,
): Partial<PersistentFlags> {
  if (compareDisk(disk, "Negotiating") <= 0) return {};
  const peerIsDiskless = compareDisk(peerDisk, "Inconsistent") < 0;
  // A peer that is about to be our target is called Consistent until it says
  // that it is one. We would not know of it after a crash.
  const isOurTarget = SOURCE_CONNECTIONS.has(connection) &&
    peerDisk !== "UpToDate" && !isGood;
  return {
    consistent: compareDisk(disk, "Inconsistent") > 0,
    wasUpToDate: compareDisk(disk, "Outdated") > 0,
    primary: role === "Primary" || peerIsDiskless && peerRole === "Primary",
    connected: compareConnection(connection, "WFReportParams") > 0,
    // A disk that is not in use beside ours, which is written, is behind, too.
    peerOutdated: peerIsDiskless
      ? lacksWrites && disk === "UpToDate" && isConnected(connection)
      : !isCopied &&
        (isOurTarget || compareDisk(peerDisk, "Outdated") <= 0),
    ...(disk === "UpToDate" && peerDisk === "UpToDate" &&
        isConnected(connection)
      ? { crashedPrimary: false }
      : {}),
  };
}
