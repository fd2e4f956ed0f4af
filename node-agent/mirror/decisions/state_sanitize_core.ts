/**
 * What follows from a wanted state by itself: DRBD 8.4 mends every wanted state
 * before it judges it. Nine steps, in this order.
 *
 * @module
 */

import {
  compareConnection,
  compareDisk,
  type ConnectionState,
  type DiskState,
  isConnected,
  isPaused,
  type MirrorState,
} from "./mirror_state.ts";
import type { StateContext } from "./state_context_state.ts";

/** What a mended state is worth a log line for. */
export type StateWarning =
  | "verify-aborted"
  | "resync-aborted"
  | "connection-lost-while-negotiating"
  | "disk-upgraded"
  | "peer-disk-upgraded";

/** DRBD's log line for each warning. */
export const STATE_WARNINGS: Readonly<Record<StateWarning, string>> = {
  "verify-aborted": "Online-verify aborted.",
  "resync-aborted": "Resync aborted.",
  "connection-lost-while-negotiating":
    "Connection lost while negotiating, no data!",
  "disk-upgraded": "Implicitly upgraded disk",
  "peer-disk-upgraded": "Implicitly upgraded pdsk",
};

/** A state that may be judged. */
export interface SaneState {
  readonly state: MirrorState;
  /** The last warning wins, as in DRBD. */
  readonly warning?: StateWarning;
}

type Step = (
  now: SaneState,
  old: MirrorState,
  context: StateContext,
) => SaneState;

/** The steps, in order. */
const STEPS: readonly Step[] = [
  forgetPeer,
  forgetDependency,
  stopWithoutDisks,
  endNegotiation,
  trustConnectedDisks,
  clampDisks,
  suspendForFencing,
  suspendWithoutData,
  pauseOrGoOn,
];

/** Mend a wanted state. Total: every state has a sane one. */
export function sanitizeState(
  old: MirrorState,
  wanted: MirrorState,
  context: StateContext,
): SaneState {
  const start: SaneState = { state: wanted };
  return STEPS.reduce((now, step) => step(now, old, context), start);
}

/** Whether this node has a disk that it may ask for anything. */
export function hasLocalDisk(state: MirrorState): boolean {
  return compareDisk(state.disk, "Failed") > 0;
}

function change(now: SaneState, part: Partial<MirrorState>): SaneState {
  return { ...now, state: { ...now.state, ...part } };
}

/** Without a connection only what makes the peer unfit is remembered. */
function forgetPeer(now: SaneState): SaneState {
  const { connection, peerDisk } = now.state;
  if (isConnected(connection)) return now;
  const isRemembered = compareDisk(peerDisk, "Inconsistent") >= 0 &&
    compareDisk(peerDisk, "DUnknown") <= 0;
  return change(now, {
    pausedByPeer: false,
    peerRole: "Unknown",
    peerDisk: isRemembered ? peerDisk : "DUnknown",
  });
}

/** A volume that is not in use waits for no other. */
function forgetDependency(now: SaneState): SaneState {
  const { connection, disk, role } = now.state;
  const isIdle = connection === "StandAlone" && disk === "Diskless" &&
    role === "Secondary";
  return isIdle ? change(now, { pausedByDependency: false }) : now;
}

/** Resync and verify need two disks. */
function stopWithoutDisks(now: SaneState): SaneState {
  const { connection, disk, peerDisk } = now.state;
  if (compareConnection(connection, "Connected") <= 0) return now;
  const isLost = (one: DiskState) => compareDisk(one, "Failed") <= 0;
  if (!isLost(disk) && !isLost(peerDisk)) return now;
  const isVerify = connection === "VerifyS" || connection === "VerifyT";
  return {
    ...change(now, { connection: "Connected" }),
    warning: isVerify ? "verify-aborted" : "resync-aborted",
  };
}

/** The connection ended before the peer told what our disk is worth. */
function endNegotiation(
  now: SaneState,
  old: MirrorState,
  { facts }: StateContext,
): SaneState {
  const { connection, disk } = now.state;
  if (isConnected(connection) || disk !== "Negotiating") return now;
  if (!hasLocalDisk(old)) return now;
  if (facts.atAttach !== undefined) return change(now, facts.atAttach);
  return {
    ...change(now, { disk: "Diskless", peerDisk: "DUnknown" }),
    warning: "connection-lost-while-negotiating",
  };
}

/** Connected nodes know better than "Consistent" and "Outdated". */
function trustConnectedDisks(now: SaneState): SaneState {
  const { connection, disk, peerDisk } = now.state;
  if (!isConnected(connection)) return now;
  if (compareConnection(connection, "Ahead") >= 0) return now;
  const settled = (one: DiskState): DiskState =>
    one === "Consistent" || one === "Outdated" ? "UpToDate" : one;
  return change(now, { disk: settled(disk), peerDisk: settled(peerDisk) });
}

interface DiskRange {
  readonly disk: readonly [worst: DiskState, best: DiskState];
  readonly peerDisk: readonly [worst: DiskState, best: DiskState];
}

const TARGET_RANGE: DiskRange = {
  disk: ["Inconsistent", "Outdated"],
  peerDisk: ["UpToDate", "UpToDate"],
};
const SOURCE_RANGE: DiskRange = {
  disk: ["UpToDate", "UpToDate"],
  peerDisk: ["Inconsistent", "Consistent"],
};
const VERIFY_RANGE: DiskRange = {
  disk: ["UpToDate", "UpToDate"],
  peerDisk: ["UpToDate", "UpToDate"],
};
/** Below Connected. */
const ALONE_RANGE: DiskRange = {
  disk: ["Diskless", "UpToDate"],
  peerDisk: ["Inconsistent", "DUnknown"],
};

const DISK_RANGES: Partial<Record<ConnectionState, DiskRange>> = {
  Connected: {
    disk: ["Diskless", "UpToDate"],
    peerDisk: ["Diskless", "UpToDate"],
  },
  WFBitMapT: TARGET_RANGE,
  PausedSyncT: TARGET_RANGE,
  StartingSyncT: TARGET_RANGE,
  WFSyncUUID: TARGET_RANGE,
  Behind: TARGET_RANGE,
  VerifyS: VERIFY_RANGE,
  VerifyT: VERIFY_RANGE,
  WFBitMapS: SOURCE_RANGE,
  PausedSyncS: SOURCE_RANGE,
  StartingSyncS: SOURCE_RANGE,
  Ahead: SOURCE_RANGE,
  SyncTarget: {
    disk: ["Inconsistent", "Inconsistent"],
    peerDisk: ["UpToDate", "UpToDate"],
  },
  SyncSource: {
    disk: ["UpToDate", "UpToDate"],
    peerDisk: ["Inconsistent", "Inconsistent"],
  },
};

/** Each connection state says what the disks can be. */
function clampDisks(now: SaneState): SaneState {
  const range = DISK_RANGES[now.state.connection] ?? ALONE_RANGE;
  const own = clamp(now, "disk", range.disk);
  return clamp(own, "peerDisk", range.peerDisk);
}

function clamp(
  now: SaneState,
  part: "disk" | "peerDisk",
  [worst, best]: DiskRange["disk"],
): SaneState {
  const value = now.state[part];
  if (compareDisk(value, best) > 0) return change(now, { [part]: best });
  if (compareDisk(value, worst) >= 0) return now;
  const warning = part === "disk" ? "disk-upgraded" : "peer-disk-upgraded";
  return { ...change(now, { [part]: worst }), warning };
}

/** A Primary that loses a promotable peer waits for its fence handler. */
function suspendForFencing(
  now: SaneState,
  old: MirrorState,
  { options }: StateContext,
): SaneState {
  if (options.fencing !== "resource-and-stonith") return now;
  if (!hasLocalDisk(old)) return now;
  const isBegun = isUnfenced(now.state) && !isUnfenced(old);
  return isBegun ? change(now, { suspendedFencing: true }) : now;
}

function isUnfenced({ role, connection, peerDisk }: MirrorState): boolean {
  return role === "Primary" && !isConnected(connection) &&
    compareDisk(peerDisk, "Outdated") > 0;
}

/** A Primary that loses the last good copy waits for one. */
function suspendWithoutData(
  now: SaneState,
  old: MirrorState,
  { options }: StateContext,
): SaneState {
  if (options.onNoData !== "suspend-io") return now;
  const isBegun = isWithoutData(now.state) && !isWithoutData(old);
  return isBegun ? change(now, { suspendedNoData: true }) : now;
}

function isWithoutData({ role, disk, peerDisk }: MirrorState): boolean {
  return role === "Primary" && disk !== "UpToDate" && peerDisk !== "UpToDate";
}

/** The state's name says whether the resync is paused. */
function pauseOrGoOn(now: SaneState): SaneState {
  const paused = isPaused(now.state);
  const name = PAUSE_NAMES.find((row) =>
    row[paused ? "running" : "paused"] === now.state.connection
  );
  if (name === undefined) return now;
  return change(now, { connection: paused ? name.paused : name.running });
}

const PAUSE_NAMES = [
  { running: "SyncSource", paused: "PausedSyncS" },
  { running: "SyncTarget", paused: "PausedSyncT" },
] as const;
