/**
 * A pair of real daemons whose roles the volume register decides: how tests
 * start it, and what they wait for.
 *
 * @module
 */

import { equal } from "node:assert/strict";
import { eventually } from "./eventually.ts";
import { namesOf, RegisterTracker } from "./mirror_fenced.ts";
import type { PairOptions } from "./mirror_pair.ts";
import { MirrorLife } from "./mirror_pair_life.ts";
import type { MirrorSide } from "./mirror_pair_side.ts";
import type { Scope } from "./scope.ts";

/** How long "nothing is acknowledged" is watched, in ms. */
const WATCH_MS = 1_500;

/** A pair in sync whose roles the register decides. */
export async function fenced(
  scope: Scope,
  name: string,
  options: Partial<PairOptions> = {},
  env: Record<string, string> = {},
) {
  const tracker = await RegisterTracker.start(scope);
  const life = await MirrorLife.start(
    scope,
    name,
    await tracker.decides(
      { protocol: "C", net: "ping-int 1;", ...options },
      env,
    ),
  );
  await bothInSync(tracker);
  return { tracker, life, ...life.pair };
}

/** Until the register names both nodes. */
export function bothInSync(tracker: RegisterTracker) {
  return tracker.until("both in sync", ({ insync }) => insync.length === 2);
}

/** Whom the register names in sync. */
export async function namesInSync(tracker: RegisterTracker): Promise<string[]> {
  const register = await tracker.register();
  return register === undefined ? [] : namesOf(register);
}

/** Why a promotion is refused, once no read lease stands in its way. */
export async function refusalOf(side: MirrorSide): Promise<string> {
  return await eventually(async () => {
    const reply = await side.command({ kind: "primary", force: false });
    equal(reply.code, -10);
    return reply.why?.includes("may still read") ? undefined : reply.why;
  }, { what: "a refusal by the register", deadlineMs: 10_000 });
}

/** Stop a daemon; no thread of it runs when this resolves. */
export async function freeze({ child }: MirrorSide): Promise<void> {
  child.signal("SIGSTOP");
  const tasks = `/proc/${child.pid}/task`;
  await eventually(() => {
    const states = [...Deno.readDirSync(tasks)].map(({ name }) =>
      Deno.readTextFileSync(`${tasks}/${name}/stat`).split(") ")[1]?.[0]
    );
    return states.every((state) => state === "T") || undefined;
  }, { what: "all threads to stop", deadlineMs: 5_000, pauseMs: 1 });
}

/** That a load acknowledges nothing for a while. */
export async function nothingIsAcknowledged(
  load: { readonly acknowledged: number },
): Promise<void> {
  const before = load.acknowledged;
  await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
  equal(load.acknowledged, before, "a write was acknowledged");
}

/** Until a node has noticed that its peer is gone. */
export function untilAlone(side: MirrorSide) {
  return side.until(
    "no peer",
    ({ state }) => state.connection === "WFConnection",
  );
}

/** Until both have the same, and the register says so. */
export async function healed({ tracker, a, b }: {
  readonly tracker: RegisterTracker;
  readonly a: MirrorSide;
  readonly b: MirrorSide;
}): Promise<void> {
  await Promise.all([a.untilEqual(), b.untilEqual()]);
  await bothInSync(tracker);
}
