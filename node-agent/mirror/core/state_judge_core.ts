/**
 * What a change of state would come to: DRBD's table, and where it knows less
 * than we do.
 *
 * @module
 */

import {
  type ConnectionState,
  type DiskState,
  isConnected,
  type MirrorState,
} from "../decisions/mirror_state.ts";
import type { StateContext } from "../decisions/state_context_state.ts";
import { changeState, type StateChange } from "../decisions/state_core.ts";
import { SOURCE_CONNECTIONS } from "./saved_flags_core.ts";
import type { VolumeCore } from "./volume_core.ts";

/** On these our data are about to be replaced. */
export const TARGET_CONNECTIONS: ReadonlySet<ConnectionState> = new Set([
  "StartingSyncT",
  "WFBitMapT",
  "WFSyncUUID",
  "SyncTarget",
  "PausedSyncT",
  "Behind",
]);

/** What a change of a volume's state would come to; `hard`: it is a fact. */
export function judgeChange(
  volume: VolumeCore,
  part: Partial<MirrorState>,
  hard: boolean,
): StateChange {
  const context = contextOf(volume);
  const wanted = { ...volume.state, ...part };
  const judged = changeState(volume.state, wanted, context, { hard });
  const isPromised = part.disk === undefined &&
    TARGET_CONNECTIONS.has(volume.state.connection) &&
    volume.state.disk !== "UpToDate" && judged.state.disk === "UpToDate";
  const isGone = part.peerDisk === undefined && volume.source.mayBeOver &&
    !isConnected(judged.state.connection);
  if (isGone) {
    const lost = { ...wanted, peerDisk: "DUnknown" } as const;
    return changeState(volume.state, lost, context, { hard });
  }
  const isTarget = SOURCE_CONNECTIONS.has(volume.state.connection) &&
    volume.state.peerDisk !== "UpToDate";
  const { peerDisk: becomes } = judged.state;
  const isBehind = part.peerDisk === undefined &&
    (isTarget && becomes === "UpToDate" ||
      becomes === "DUnknown" && volume.flags().peerOutdated === true);
  if (isBehind) {
    // The same of the peer: it never got what we have, or no longer have.
    const isOld = !isConnected(judged.state.connection);
    const peerDisk: DiskState = isOld ? "Outdated" : "Inconsistent";
    const lost = { ...wanted, peerDisk };
    return changeState(volume.state, lost, context, { hard });
  }
  if (!isPromised) return judged;
  // DRBD's table takes Outdated for good on a connection, also when the
  // resync that should make it so ends because the source lost its disk.
  const old = { ...wanted, disk: "Inconsistent" } as const;
  return changeState(volume.state, old, context, { hard });
}

function contextOf(volume: VolumeCore): StateContext {
  const { config } = volume;
  return {
    options: {
      allowTwoPrimaries: false,
      fencing: config.fencing,
      onNoData: config.onNoData,
      hasVerifyAlg: config.verifyAlgorithm !== "",
    },
    facts: {
      isOpen: volume.roles.isOpen,
      stateSent: volume.state.connection === "WFReportParams",
      resourcePeerRole: volume.state.peerRole,
      ...(volume.disk.isExposedData && volume.disk.atAttach !== undefined
        ? { atAttach: volume.disk.atAttach }
        : {}),
    },
  };
}
