/**
 * The words of the mirror: roles, disk states, connection states, and the one
 * record that says where a volume stands.
 *
 * Spelling and **order** are those of DRBD 8.4: its rules say "below Connected"
 * or "worse than Inconsistent", so the order of each list is part of its
 * meaning. `Detaching` is the only word of DRBD 9 here.
 *
 * @module
 */

/** Roles, in DRBD's order. */
export const ROLES = ["Unknown", "Primary", "Secondary"] as const;

/** What a node does with its volume. `Unknown` is said of peers only. */
export type Role = typeof ROLES[number];

/** Disk states from worst to best; `DUnknown` is said of peers only. */
export const DISK_STATES = [
  "Diskless",
  "Attaching",
  "Detaching",
  "Failed",
  "Negotiating",
  "Inconsistent",
  "Outdated",
  "DUnknown",
  "Consistent",
  "UpToDate",
] as const;

/** What the data on one disk is worth. */
export type DiskState = typeof DISK_STATES[number];

/** Connection states, in DRBD's order. */
export const CONNECTION_STATES = [
  "StandAlone",
  "Disconnecting",
  "Unconnected",
  "Timeout",
  "BrokenPipe",
  "NetworkFailure",
  "ProtocolError",
  "TearDown",
  "WFConnection",
  "WFReportParams",
  "Connected",
  "StartingSyncS",
  "StartingSyncT",
  "WFBitMapS",
  "WFBitMapT",
  "WFSyncUUID",
  "SyncSource",
  "SyncTarget",
  "VerifyS",
  "VerifyT",
  "PausedSyncS",
  "PausedSyncT",
  "Ahead",
  "Behind",
] as const;

/** How far the two nodes are with one another. */
export type ConnectionState = typeof CONNECTION_STATES[number];

/** Why application I/O is frozen; any one of them freezes it. */
export interface SuspendFlags {
  /** `suspend-io`: a person asked for it (DRBD: susp). */
  readonly suspendedByUser: boolean;
  /** A Primary without any UpToDate copy waits for one (susp_nod). */
  readonly suspendedNoData: boolean;
  /** A Primary waits for its fence handler's answer (susp_fen). */
  readonly suspendedFencing: boolean;
}

/** Why a resync is paused; any one of them pauses it. */
export interface PauseFlags {
  /** Another volume must be synced first, `resync-after` (aftr_isp). */
  readonly pausedByDependency: boolean;
  /** The peer is paused (peer_isp). */
  readonly pausedByPeer: boolean;
  /** `pause-sync`: a person asked for it (user_isp). */
  readonly pausedByUser: boolean;
}

/** Where one volume stands, seen from one node. */
export interface MirrorState extends SuspendFlags, PauseFlags {
  readonly connection: ConnectionState;
  /** Our role; never `Unknown`. */
  readonly role: Role;
  readonly peerRole: Role;
  /** Our disk; never `DUnknown`. */
  readonly disk: DiskState;
  readonly peerDisk: DiskState;
}

/** A volume that is configured, and nothing more. */
export const UNCONFIGURED_STATE: MirrorState = {
  connection: "StandAlone",
  role: "Secondary",
  peerRole: "Unknown",
  disk: "Diskless",
  peerDisk: "DUnknown",
  suspendedByUser: false,
  suspendedNoData: false,
  suspendedFencing: false,
  pausedByDependency: false,
  pausedByPeer: false,
  pausedByUser: false,
};

const CONNECTION_RANK = rankOf(CONNECTION_STATES);
const DISK_RANK = rankOf(DISK_STATES);

/** Negative, zero or positive as `a` is below, at or above `b`. */
export function compareConnection(
  a: ConnectionState,
  b: ConnectionState,
): number {
  return CONNECTION_RANK[a] - CONNECTION_RANK[b];
}

/** Negative, zero or positive as `a` is worse than, as good as or better than `b`. */
export function compareDisk(a: DiskState, b: DiskState): number {
  return DISK_RANK[a] - DISK_RANK[b];
}

/** Whether the peer's state is known: the handshake is over. */
export function isConnected(connection: ConnectionState): boolean {
  return compareConnection(connection, "Connected") >= 0;
}

/** Whether application I/O is frozen, for whatever reason. */
export function isSuspended(state: SuspendFlags): boolean {
  return state.suspendedByUser || state.suspendedNoData ||
    state.suspendedFencing;
}

/** Whether a resync has to wait, for whatever reason. */
export function isPaused(state: PauseFlags): boolean {
  return state.pausedByDependency || state.pausedByPeer || state.pausedByUser;
}

/** Whether two states are the same in every part. */
export function sameState(a: MirrorState, b: MirrorState): boolean {
  return a.connection === b.connection && a.role === b.role &&
    a.peerRole === b.peerRole && a.disk === b.disk &&
    a.peerDisk === b.peerDisk &&
    a.suspendedByUser === b.suspendedByUser &&
    a.suspendedNoData === b.suspendedNoData &&
    a.suspendedFencing === b.suspendedFencing &&
    a.pausedByDependency === b.pausedByDependency &&
    a.pausedByPeer === b.pausedByPeer && a.pausedByUser === b.pausedByUser;
}

function rankOf<Name extends string>(
  names: readonly Name[],
): Record<Name, number> {
  const ranks: Partial<Record<Name, number>> = {};
  names.forEach((name, rank) => ranks[name] = rank);
  return ranks as Record<Name, number>;
}
