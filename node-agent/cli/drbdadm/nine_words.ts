/**
 * DRBD 9's words for 8.4's states: it splits the connection from the
 * replication of each volume. Pure.
 *
 * Source: reference of DRBD, §2.1.
 *
 * @module
 */

import type {
  MirrorStateView,
  ResourceStatus,
  VolumeStatus,
} from "@kedge/schema/mirror/control-api";

/** Connections that are 8.4's and 9's alike, below Connected. */
const BELOW_CONNECTED = [
  "StandAlone",
  "Disconnecting",
  "Unconnected",
  "Timeout",
  "BrokenPipe",
  "NetworkFailure",
  "ProtocolError",
  "TearDown",
];

/** `connection:` of 9. */
export function connectionWord({ connection }: MirrorStateView): string {
  if (BELOW_CONNECTED.includes(connection)) return connection;
  return connection === "WFConnection" || connection === "WFReportParams"
    ? "Connecting"
    : "Connected";
}

/** `replication:` of 9. */
export function replicationWord(state: MirrorStateView): string {
  if (connectionWord(state) !== "Connected") return "Off";
  return state.connection === "Connected" ? "Established" : state.connection;
}

/** `suspended:` of 9: `no`, or the reasons. */
export function suspendedWord(state: MirrorStateView): string {
  const reasons = [
    state.suspendedByUser ? "user" : "",
    state.suspendedNoData ? "no-data" : "",
    state.suspendedFencing ? "fencing" : "",
  ].filter((reason) => reason !== "");
  return reasons.length === 0 ? "no" : reasons.join(",");
}

/** `resync-suspended:` of 9: `no`, or the reasons. */
export function resyncSuspendedWord(state: MirrorStateView): string {
  const reasons = [
    state.pausedByUser ? "user" : "",
    state.pausedByPeer ? "peer" : "",
    state.pausedByDependency ? "dependency" : "",
  ].filter((reason) => reason !== "");
  return reasons.length === 0 ? "no" : reasons.join(",");
}

/** `done:` of 9, such as `37.50`; undefined: nothing runs. */
export function doneWord({ progress }: VolumeStatus): string | undefined {
  if (progress === undefined) return undefined;
  const { totalBytes, leftBytes } = progress;
  const done = totalBytes <= 0 ? 1 : 1 - leftBytes / totalBytes;
  return (Math.floor(Math.max(0, done) * 10_000) / 100).toFixed(2);
}

/**
 * What the volumes of a resource share: role and connection. Where roles differ
 * the resource is Primary, as 9 has one role for all of its volumes.
 */
export function sharedState(
  { volumes }: ResourceStatus,
): MirrorStateView | undefined {
  const [first] = volumes;
  if (first === undefined) return undefined;
  const isAny = (role: "role" | "peerRole") =>
    volumes.some(({ state }) => state[role] === "Primary");
  return {
    ...first.state,
    role: isAny("role") ? "Primary" : first.state.role,
    peerRole: isAny("peerRole") ? "Primary" : first.state.peerRole,
  };
}

/** Whether it may be promoted without force, and how good a choice it is. */
export function promotionOf(
  resource: {
    readonly volumes: readonly {
      readonly state: Pick<
        MirrorStateView,
        "role" | "peerRole" | "disk" | "peerDisk"
      >;
    }[];
  },
): { readonly mayPromote: boolean; readonly score: number } {
  const { volumes } = resource;
  const copies = volumes.map(({ state }) =>
    Number(state.disk === "UpToDate") + Number(state.peerDisk === "UpToDate")
  );
  const fewest = copies.length === 0 ? 0 : Math.min(...copies);
  if (fewest === 0) return { mayPromote: false, score: 0 };
  const own = volumes.filter(({ state }) => state.disk === "UpToDate").length;
  const hasDisks = volumes.every(({ state }) => state.disk !== "Diskless");
  const score = (hasDisks ? 10_000 : 0) + 100 * own + fewest;
  const mayPromote = volumes.every(({ state }) =>
    state.role === "Secondary" && state.peerRole !== "Primary"
  );
  return { mayPromote, score };
}
