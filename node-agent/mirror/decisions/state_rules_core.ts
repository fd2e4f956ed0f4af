/**
 * What a person may not ask for: tables of refusals, DRBD 8.4's.
 *
 * `VALIDITY` judges one state; the first row that matches names the refusal.
 * `SOFT_TRANSITIONS` judges a change; the **last** row that matches does. Facts
 * ("the disk died") are not asked.
 *
 * @module
 */

import {
  compareConnection,
  compareDisk,
  type ConnectionState,
  isConnected,
  type MirrorState,
} from "./mirror_state.ts";
import type { StateRefusal } from "./refusals_core.ts";
import type { StateContext } from "./state_context_state.ts";

interface ValidityRow {
  readonly code: StateRefusal;
  readonly when: (state: MirrorState, context: StateContext) => boolean;
}

interface TransitionRow {
  readonly code: StateRefusal;
  readonly when: (
    old: MirrorState,
    next: MirrorState,
    context: StateContext,
  ) => boolean;
}

const VALIDITY: readonly ValidityRow[] = [
  {
    code: -1,
    when: (state, { options }) =>
      !options.allowTwoPrimaries && isPrimary(state) &&
      state.peerRole === "Primary",
  },
  {
    code: -20,
    when: (state, { options, facts }) =>
      !options.allowTwoPrimaries && isPrimary(state) &&
      facts.resourcePeerRole === "Primary",
  },
  {
    code: -12,
    when: (state, { facts }) => state.role === "Secondary" && facts.isOpen,
  },
  {
    code: -2,
    when: (state) =>
      isPrimary(state) && !isConnected(state.connection) &&
      state.disk !== "UpToDate",
  },
  {
    code: -7,
    when: (state, { options }) =>
      options.fencing !== "dont-care" && isPrimary(state) &&
      !isConnected(state.connection) &&
      compareDisk(state.peerDisk, "DUnknown") >= 0,
  },
  {
    code: -2,
    when: (state) =>
      isPrimary(state) && compareDisk(state.disk, "Inconsistent") <= 0 &&
      compareDisk(state.peerDisk, "Inconsistent") <= 0,
  },
  {
    code: -4,
    when: (state) =>
      isBusy(state.connection) && compareDisk(state.disk, "Inconsistent") < 0,
  },
  {
    code: -5,
    when: (state) =>
      isBusy(state.connection) &&
      compareDisk(state.peerDisk, "Inconsistent") < 0,
  },
  {
    code: -2,
    when: (state) => isBusy(state.connection) && hasNoGoodCopy(state),
  },
  {
    code: -6,
    when: (state) =>
      state.disk === "Outdated" && MUST_BE_CURRENT.has(state.connection),
  },
  {
    code: -14,
    when: (state, { options }) => isVerify(state) && !options.hasVerifyAlg,
  },
  { code: -2, when: (state) => isPrimary(state) && hasNoGoodCopy(state) },
  {
    code: -15,
    when: (state) => isStartingSync(state) && state.peerDisk === "DUnknown",
  },
  {
    code: -6,
    when: (state) =>
      isConnected(state.connection) && state.peerDisk === "DUnknown",
  },
];

const SOFT_TRANSITIONS: readonly TransitionRow[] = [
  {
    code: -8,
    when: (old, next) => isStartingSync(next) && isBusy(old.connection),
  },
  {
    code: -9,
    when: (old, next) =>
      next.connection === "Disconnecting" && old.connection === "StandAlone",
  },
  {
    code: -11,
    when: (old, next) =>
      compareDisk(next.disk, "Attaching") > 0 && old.disk === "Diskless",
  },
  {
    code: -13,
    when: (old, next) =>
      next.connection === "WFConnection" &&
      compareConnection(old.connection, "Unconnected") < 0,
  },
  {
    code: -16,
    when: (old, next) =>
      next.disk === "Outdated" && compareDisk(old.disk, "Outdated") < 0 &&
      old.disk !== "Attaching",
  },
  {
    code: -18,
    when: (old, next) =>
      next.connection === "Disconnecting" && old.connection === "Unconnected",
  },
  {
    code: -18,
    when: (old, next, { facts }) =>
      facts.stateSent && !isHandshakeStep(old.connection, next.connection),
  },
  { code: -18, when: isPromotionDuringForcedHandshake },
  {
    code: -15,
    when: (old, next) => isVerify(next) && !isConnected(old.connection),
  },
  {
    code: -8,
    when: (old, next) =>
      isVerify(next) && next.connection !== old.connection &&
      isBusy(old.connection),
  },
  {
    code: -15,
    when: (old, next) => isStartingSync(next) && !isConnected(old.connection),
  },
  {
    code: -15,
    when: (old, next) =>
      (next.connection === "SyncTarget" || next.connection === "SyncSource") &&
      compareConnection(old.connection, "WFReportParams") < 0,
  },
  {
    code: -21,
    when: (old, next) =>
      next.connection === "Disconnecting" && next.peerDisk === "Outdated" &&
      !isConnected(old.connection) &&
      compareDisk(old.peerDisk, "Outdated") > 0,
  },
];

/** Connections that only a node with current data may have. */
const MUST_BE_CURRENT: ReadonlySet<ConnectionState> = new Set([
  "Connected",
  "WFBitMapS",
  "SyncSource",
  "PausedSyncS",
]);

/** Why a state is not valid, or undefined when it is. */
export function invalidBecause(
  state: MirrorState,
  context: StateContext,
): StateRefusal | undefined {
  return VALIDITY.find((row) => row.when(state, context))?.code;
}

/** Why a person may not ask for a change, or undefined when they may. */
export function refusedTransition(
  old: MirrorState,
  next: MirrorState,
  context: StateContext,
): StateRefusal | undefined {
  return SOFT_TRANSITIONS.findLast((row) => row.when(old, next, context))
    ?.code;
}

function isPrimary(state: MirrorState): boolean {
  return state.role === "Primary";
}

/** More goes on than replication. */
function isBusy(connection: ConnectionState): boolean {
  return compareConnection(connection, "Connected") > 0;
}

function isVerify({ connection }: MirrorState): boolean {
  return connection === "VerifyS" || connection === "VerifyT";
}

function isStartingSync({ connection }: MirrorState): boolean {
  return connection === "StartingSyncS" || connection === "StartingSyncT";
}

function hasNoGoodCopy({ disk, peerDisk }: MirrorState): boolean {
  return disk !== "UpToDate" && peerDisk !== "UpToDate";
}

/** The only steps while our state packet is out. */
function isHandshakeStep(from: ConnectionState, to: ConnectionState): boolean {
  if (from === "WFConnection") return to === "WFReportParams";
  return from === "WFReportParams" && isConnected(to);
}

/** The peer was forced to be the source, and we have not begun to copy. */
function isPromotionDuringForcedHandshake(
  old: MirrorState,
  next: MirrorState,
): boolean {
  return !isPrimary(old) && isPrimary(next) &&
    next.peerDisk === "UpToDate" && next.disk !== "UpToDate" &&
    next.disk !== "Diskless" &&
    (compareConnection(next.connection, "WFSyncUUID") <= 0 ||
      next.connection !== old.connection);
}
