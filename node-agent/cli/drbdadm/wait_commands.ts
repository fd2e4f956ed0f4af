/**
 * `wait-connect`, `wait-sync`, `wait-con-int`: wait for the peer, or for the
 * end of a resync, no longer than the configuration or the options say.
 *
 * Source: reference of DRBD, §6.3; 8.4's drbdsetup.
 *
 * @module
 */

import type { ResourceConfig } from "@kedge/schema/drbd-conf";
import type {
  MirrorStateView,
  ResourceStatus,
} from "@kedge/schema/mirror/control-api";
import { notRunning, volumesOf } from "./daemon_commands.ts";
import { connectionWord } from "./nine_words.ts";
import { SETUP_EXIT } from "./replies.ts";
import type { Session, Target } from "./session.ts";
import { setupLine } from "./setup_lines.ts";
import { secondsOption } from "./values.ts";
import {
  type LeftPeer,
  patienceOf,
  type WaitTimes,
} from "./wait_times_core.ts";

/** Pause between two looks, in milliseconds. */
const LOOK_MS = 100;

/** What is waited for. */
type Goal = "connected" | "synced";

/** States of a connection in which nothing is under way. */
const SETTLED = ["Connected", "VerifyS", "VerifyT", "Ahead", "Behind"];

/** Whether a volume has reached the goal, can never, or may still. */
export function outcomeOf(
  state: MirrorStateView | undefined,
  goal: Goal,
  waitsAfterSplitBrain: boolean,
): "reached" | "hopeless" | "waiting" {
  // Nothing is set up: as with DRBD there is nothing to wait for.
  if (state === undefined) return "hopeless";
  const isConnected = connectionWord(state) === "Connected";
  if (isConnected && goal === "connected") return "reached";
  if (isConnected && SETTLED.includes(state.connection)) return "reached";
  if (state.connection === "StandAlone" && !waitsAfterSplitBrain) {
    return "hopeless";
  }
  return "waiting";
}

/** The timeouts that count: options first, then the configuration. */
function timesOf(session: Session, { startup }: ResourceConfig): WaitTimes {
  const option = (name: string) =>
    secondsOption(session.line.setup.get(name), name);
  return {
    wfcMs: option("wfc-timeout") ?? startup.wfcTimeoutMs,
    degrMs: option("degr-wfc-timeout") ?? startup.degrWfcTimeoutMs,
    outdatedMs: option("outdated-wfc-timeout") ?? startup.outdatedWfcTimeoutMs,
  };
}

/** The peer as it was left: degraded clusters wait for another time. */
function leftPeer(resource: ResourceStatus | undefined): LeftPeer {
  const states = resource?.volumes.map(({ state }) => state) ?? [];
  return {
    wasAway: states.some(({ disk, peerDisk }) =>
      disk === "UpToDate" && peerDisk === "DUnknown"
    ),
    isOutdated: states.some(({ peerDisk }) => peerDisk === "Outdated"),
  };
}

async function waitFor(
  session: Session,
  goal: Goal,
  command: string,
): Promise<number> {
  const waits = session.targets().map((target) => {
    for (const volume of volumesOf(target)) {
      session.trace(setupLine(command, target.config, { volume }));
    }
    return session.isDry ? 0 : waitOne(session, target, { goal, command });
  });
  return Math.max(0, ...await Promise.all(waits));
}

async function waitOne(
  session: Session,
  target: Target,
  { goal, command }: { readonly goal: Goal; readonly command: string },
): Promise<number> {
  const { config, volume } = target;
  const { context } = session;
  const startMs = context.nowMs();
  const waitsAfterSplitBrain = session.line.setup.has("wait-after-sb")
    ? session.asks("wait-after-sb")
    : config.startup.waitAfterSb;
  const times = timesOf(session, config);
  let endMs: number | undefined;
  for (;;) {
    const resource = await session.running(config.name);
    if (endMs === undefined) {
      const { ms, warnings } = patienceOf(times, leftPeer(resource));
      warnings.forEach((line) => session.warn(line));
      endMs = startMs + ms;
    }
    const states = resource?.volumes
      .filter((each) => volume === undefined || each.volume === volume)
      .map(({ state }) => state) ?? [undefined];
    const outcomes = states.map((state) =>
      outcomeOf(state, goal, waitsAfterSplitBrain)
    );
    if (outcomes.every((outcome) => outcome === "reached")) return 0;
    if (outcomes.includes("hopeless") || context.nowMs() >= endMs) {
      if (resource === undefined) session.warn(notRunning(config.name));
      const line = setupLine(command, config);
      const code = SETUP_EXIT.timeout;
      session.warn(`Command '${line}' terminated with exit code ${code}`);
      return code;
    }
    await context.sleep(LOOK_MS, context.signal);
  }
}

/** Actions by name. */
export const COMMANDS = {
  "wait-connect": (session: Session) =>
    waitFor(session, "connected", "wait-connect"),
  "wait-sync": (session: Session) => waitFor(session, "synced", "wait-sync"),
  "wait-con-int": (session: Session) =>
    waitFor(session, "connected", "wait-connect"),
} as const;
