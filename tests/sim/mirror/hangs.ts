/**
 * Disks that hang, and `disk-timeout`. Drawn from a stream of its own, so that
 * it changes no other seed.
 *
 * A flush runs beside everything else: when it takes too long the disk is let
 * go, and nothing is attached again before the flush has ended, as the lock on
 * the device has it. Any other request stops the whole process; it was done,
 * and counts as failed because it was late (`volume/disk_watch.ts`).
 *
 * @module
 */

import { Prng } from "../prng.ts";
import type { SimNode } from "./sim_node.ts";
import type { World } from "./world.ts";

/** What hangs. */
export type HangKind = "flush" | "write" | "meta";

/** The `n`-th request of a kind from `atMs` on takes `ms`. */
export interface Hang {
  readonly atMs: number;
  readonly a: 0 | 1;
  readonly kind: HangKind;
  readonly n: number;
  readonly ms: number;
}

/** See the module comment. */
export interface Hangs {
  /** `disk-timeout`, in ms. */
  readonly timeoutMs: number;
  readonly list: readonly Hang[];
}

/** By kind: requests until the hang, and how long it takes. */
export type ArmedHangs = {
  [kind in HangKind]?: { left: number; readonly ms: number } | undefined;
};

/** A flush that runs. */
export interface BegunFlush {
  readonly attachment: number;
  readonly beganMs: number;
}

/** How many seeds have it. */
const SHARE = 0.05;

/** Draw it; undefined: no disk hangs, and none is waited for. */
export function drawHangs(seed: number, workMs: number): Hangs | undefined {
  const rng = new Prng(seed, 122);
  if (!rng.chance(SHARE)) return undefined;
  const list = Array.from({ length: rng.between(1, 4) }, (): Hang => ({
    atMs: rng.between(50, workMs),
    a: rng.chance(0.5) ? 0 : 1,
    kind: rng.pick(["flush", "flush", "write", "meta"]),
    n: rng.between(0, rng.pick([2, 10])),
    ms: Math.round(rng.range(50, 2_500)),
  }));
  return {
    timeoutMs: rng.pick([150, 400]),
    list: list.sort((x, y) => x.atMs - y.atMs),
  };
}

/** Arm every one when its time comes. */
export function startHangs(world: World): void {
  for (const hang of world.plan.hangs?.list ?? []) {
    world.scheduler.after(hang.atMs, () => {
      if (world.isHealing) return;
      const node = world.nodes[hang.a];
      node.trace(`fault hang ${hang.kind} ${hang.ms} ms n=${hang.n}`);
      node.hangs[hang.kind] = { left: hang.n, ms: hang.ms };
    });
  }
}

/** How long the request that is made now takes, in ms; usually nothing. */
export function hangMs(node: SimNode, kind: HangKind): number {
  const armed = node.hangs[kind];
  if (armed === undefined || armed.left-- > 0) return 0;
  node.hangs[kind] = undefined;
  node.world.mark(`a ${kind} hangs`);
  node.trace(`a ${kind} hangs`);
  return armed.ms;
}

/**
 * A request other than a flush was done. The process stands still as long as it
 * took.
 *
 * @returns Whether it was in time.
 */
export function wasInTime(node: SimNode, kind: HangKind): boolean {
  const ms = hangMs(node, kind);
  if (ms === 0) return true;
  const { scheduler, plan } = node.world;
  const { process } = node;
  scheduler.after(0, () => {
    if (node.process === process) node.pause(true);
  });
  scheduler.after(ms, () => {
    if (node.process === process) node.pause(false);
  });
  return ms * plan.clocks[node.id] <= (plan.hangs?.timeoutMs ?? Infinity);
}

/** Time passes: a flush that takes too long is given up, and the disk with it. */
export function leaveLateDisk(node: SimNode): void {
  const { core, world, flushing } = node;
  const limitMs = world.plan.hangs?.timeoutMs;
  if (core === undefined || limitMs === undefined) return;
  if (flushing === undefined || flushing.attachment !== node.attachment) return;
  if (node.nowMs() - flushing.beganMs <= limitMs) return;
  world.mark("disk-timeout");
  if (world.sabotage.trustsLateFlush === true) {
    node.flushing = undefined;
    return core.diskFlushed(true);
  }
  core.disk.failed("a flush took longer than disk-timeout");
}
