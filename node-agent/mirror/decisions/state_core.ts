/**
 * One change of a volume's state: mend what is wanted, judge it, and say what
 * it implies. DRBD 8.4's rules; the tables are in `state_sanitize_core.ts` and
 * `state_rules_core.ts`.
 *
 * A **soft** change is asked for by a person and may be refused. A **hard** one
 * is a fact (the link is down, the disk died): only transitions that cannot be
 * are refused. A refused change changes nothing.
 *
 * @module
 */

import {
  compareConnection,
  isConnected,
  type MirrorState,
  sameState,
} from "./mirror_state.ts";
import type { StateRefusal } from "./refusals_core.ts";
import type { StateContext } from "./state_context_state.ts";
import { invalidBecause, refusedTransition } from "./state_rules_core.ts";
import {
  hasLocalDisk,
  sanitizeState,
  type StateWarning,
} from "./state_sanitize_core.ts";

/** A part of the state that became another one than wanted. */
export interface ImpliedChange {
  readonly part: keyof MirrorState;
  readonly wanted: string | boolean;
  readonly became: string | boolean;
}

/** The answer of {@link changeState}. */
export interface StateChange {
  /** The state now: `sane` when the change is allowed, else the old one. */
  readonly state: MirrorState;
  /** What the wanted state amounts to, also when it is refused. */
  readonly sane: MirrorState;
  /** Whether anything changed. */
  readonly applied: boolean;
  readonly refused?: StateRefusal;
  readonly warning?: StateWarning;
  /** Parts in which `sane` differs from what was wanted. */
  readonly implied: readonly ImpliedChange[];
  /** The peer must agree before this may be applied. */
  readonly clusterWide: boolean;
}

/** Options of {@link changeState}. */
export interface ChangeOptions {
  /** A fact and not a wish. Default: a wish. */
  readonly hard?: boolean;
}

/** Judge one change; `wanted` is the whole state, most of it as before. */
export function changeState(
  old: MirrorState,
  wanted: MirrorState,
  context: StateContext,
  { hard = false }: ChangeOptions = {},
): StateChange {
  const { state: sane, warning } = sanitizeState(old, wanted, context);
  const refused = sameState(old, sane)
    ? undefined
    : impossibleTransition(old, sane) ??
      (hard ? undefined : refusedSoftly(old, sane, context));
  const state = refused === undefined ? sane : old;
  return {
    state,
    sane,
    applied: !sameState(old, state),
    ...(refused === undefined ? {} : { refused }),
    ...(warning === undefined ? {} : { warning }),
    implied: differences(wanted, sane),
    clusterWide: needsPeer(old, sane),
  };
}

/** What cannot happen at all, not even as a fact. */
export function impossibleTransition(
  old: MirrorState,
  next: MirrorState,
): StateRefusal | undefined {
  const from = old.connection;
  const to = next.connection;
  if (from !== to) {
    if (from === "StandAlone") {
      if (to === "Disconnecting") return -9;
      if (to !== "Unconnected") return -15;
    }
    if (compareConnection(from, "WFReportParams") < 0 && isConnected(to)) {
      return -15;
    }
    const isEnding = compareConnection(from, "Timeout") >= 0 &&
      compareConnection(from, "TearDown") <= 0;
    if (isEnding && to !== "Unconnected" && to !== "Disconnecting") return -18;
    if (from === "Disconnecting" && to !== "StandAlone") return -18;
  }
  if (next.disk === "Failed" && old.disk === "Diskless") return -11;
  return undefined;
}

/** A state that was already wrong in the same way is no reason to refuse. */
function refusedSoftly(
  old: MirrorState,
  next: MirrorState,
  context: StateContext,
): StateRefusal | undefined {
  const judged = hasLocalDisk(old) ? context : withoutFencing(context);
  const invalid = invalidBecause(next, judged);
  if (invalid !== undefined && invalidBecause(old, judged) !== invalid) {
    return invalid;
  }
  return refusedTransition(old, next, judged);
}

/** Fencing is an option of the disk: no disk, no fencing. */
function withoutFencing(context: StateContext): StateContext {
  return { ...context, options: { ...context.options, fencing: "dont-care" } };
}

/** Whether both nodes must agree: the peer judges the mirrored change. */
export function needsPeer(old: MirrorState, next: MirrorState): boolean {
  if (!isConnected(old.connection)) return false;
  if (next.connection === "Disconnecting") return true;
  const from = old.connection;
  const to = next.connection;
  if (from === "Connected" && (to === "VerifyS" || to === "WFReportParams")) {
    return true;
  }
  if (!isConnected(to)) return false;
  return (old.role !== "Primary" && next.role === "Primary") ||
    (from !== to && (to === "StartingSyncS" || to === "StartingSyncT")) ||
    (old.disk !== "Failed" && next.disk === "Failed");
}

function differences(wanted: MirrorState, sane: MirrorState): ImpliedChange[] {
  const parts = Object.keys(wanted) as (keyof MirrorState)[];
  return parts.filter((part) => wanted[part] !== sane[part]).map((part) => ({
    part,
    wanted: wanted[part],
    became: sane[part],
  }));
}
