/**
 * When a Secondary takes over by itself. Pure.
 *
 * The register decides who wins; this only says who asks, and when. A node asks
 * after its peer's read lease has run out and a Primary that is still there has
 * had the time to shrink the set, so that a cut cable costs the Primary nothing.
 *
 * | protocol | takes over                                                  |
 * | -------- | ----------------------------------------------------------- |
 * | C        | yes                                                         |
 * | B        | yes; the register refuses a run that was restarted          |
 * | A        | only if writes may be lost by it (`lossy`)                  |
 *
 * Source: promises.md §6.4.
 *
 * @module
 */

import { CONNECTION_STATES, isConnected } from "../decisions/mirror_state.ts";
import type { MirrorStateView } from "@kedge/schema/mirror/control-api";

/** Whether nodes take over by themselves: `lossy` also with protocol A. */
export type TakeoverPolicy = "off" | "on" | "lossy";

/** From the loss of the peer to the first question, in ms: the lease and more. */
export const TAKEOVER_WAIT_MS = 2_000;
/** Between questions, in ms; doubled up to {@link TAKEOVER_PAUSE_MS_MAX}. */
export const TAKEOVER_PAUSE_MS = 500;
/** Longest time between questions, in ms. */
export const TAKEOVER_PAUSE_MS_MAX = 5_000;
/** Shortest time between two promotions of one resource, in ms. */
export const TAKEOVER_DAMPER_MS = 10_000;

/** Connection states without a peer: those below Connected. */
const UNCONNECTED: ReadonlySet<string> = new Set(
  CONNECTION_STATES.filter((state) => !isConnected(state)),
);

/** What a change of state means for a takeover. */
export type TakeoverSign = "begin" | "end" | "none";

/**
 * Judge a change of the state of a volume.
 *
 * @param protocol Of the volume.
 */
export function takeoverSign(
  before: MirrorStateView,
  after: MirrorStateView,
  { policy, protocol }: {
    readonly policy: TakeoverPolicy;
    readonly protocol: "A" | "B" | "C";
  },
): TakeoverSign {
  const mayGo = after.role === "Secondary" && after.disk === "UpToDate" &&
    UNCONNECTED.has(after.connection) && after.connection !== "StandAlone";
  if (!mayGo) return "end";
  const hasLostPrimary = !UNCONNECTED.has(before.connection) &&
    before.peerRole === "Primary";
  const isAllowed = policy === "lossy" || policy === "on" && protocol !== "A";
  return hasLostPrimary && isAllowed ? "begin" : "none";
}

/**
 * How long to wait before the next question, in ms.
 *
 * @param asked Questions so far.
 * @param sinceWonMs Since this resource was promoted here last.
 */
export function takeoverPauseMs(asked: number, sinceWonMs: number): number {
  const pauseMs = asked === 0 ? TAKEOVER_WAIT_MS : Math.min(
    TAKEOVER_PAUSE_MS * 2 ** (asked - 1),
    TAKEOVER_PAUSE_MS_MAX,
  );
  return Math.max(pauseMs, TAKEOVER_DAMPER_MS - sinceWonMs);
}
