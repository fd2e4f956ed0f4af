/**
 * Flushes that do not end, on a node that lives: its peer is to part from it
 * after `ko-count` × `timeout`, and to go on alone. Drawn from a stream of its
 * own, so that it changes no other seed.
 *
 * What must hold: no operation of the other node waits for ever (I23). It is
 * checked once everything else is well again, while the flush still runs.
 *
 * @module
 */

import { isSuspended } from "../../../node-agent/mirror/decisions/mirror_state.ts";
import { Prng } from "../prng.ts";
import type { SimNode } from "./sim_node.ts";
import { flush, write } from "./volume_clients.ts";
import { other, type World } from "./world.ts";

/** The next flush of a node from `atMs` on takes `ms`. */
export interface Stuck {
  readonly atMs: number;
  readonly a: 0 | 1;
  /** Missing: until everything else is well. */
  readonly ms?: number | undefined;
  /** `ko-count` × `timeout`, in ms. */
  readonly limitMs: number;
}

/** How many seeds have it. */
const SHARE = 0.04;
/** How long a peer without such a flush may need to go on, in ms. */
const PATIENCE_MS = 45_000;

/** Draw it; undefined: every flush ends. */
export function drawStuck(seed: number, workMs: number): Stuck | undefined {
  const rng = new Prng(seed, 123);
  if (!rng.chance(SHARE)) return undefined;
  return {
    atMs: rng.between(50, workMs),
    a: rng.chance(0.5) ? 0 : 1,
    ms: rng.chance(0.5) ? undefined : Math.round(rng.range(500, 4_000)),
    limitMs: rng.pick([600, 1_500, 4_000]),
  };
}

/** See the module comment. */
export class StuckFlush {
  #isArmed = false;
  #end: (() => void) | undefined;

  constructor(readonly world: World) {}

  /** The node whose flush runs; undefined: none does. */
  get node(): SimNode | undefined {
    const { nodes, plan: { stuck } } = this.world;
    return this.#end === undefined ? undefined : nodes[stuck?.a ?? 0];
  }

  /** Let it happen when its time comes. */
  start(): void {
    const { scheduler, plan: { stuck } } = this.world;
    if (stuck === undefined) return;
    scheduler.after(stuck.atMs, () => {
      this.#isArmed = !this.world.isHealing;
    });
  }

  /** Whether a flush that begins is this one; `end` ends it. */
  takes(node: SimNode, end: () => void): boolean {
    const { world: { scheduler, plan: { stuck } } } = this;
    if (!this.#isArmed || stuck?.a !== node.id) return false;
    this.#isArmed = false;
    this.#end = end;
    this.world.mark("a flush is stuck");
    node.trace("a flush is stuck");
    if (stuck.ms !== undefined) scheduler.after(stuck.ms, () => this.end());
    return true;
  }

  /** Its work is done, if anybody still waits for it. */
  end(): void {
    const end = this.#end;
    this.#isArmed = false;
    this.#end = undefined;
    end?.();
  }
}

/** Everything else is well, and the flush still runs: its peer goes on. */
export function mustGoOnBeside(world: World): void {
  const { stuck: { node }, scheduler, nodes } = world;
  if (node === undefined) return;
  const peer = nodes[other(node.id)];
  mustEnd(peer, "operations", () => isIdle(peer));
  if (isObliged(peer)) {
    let open = 2;
    write(peer, { first: 0, count: 1 }, true, () => open--);
    flush(peer, () => open--);
    mustEnd(peer, "a write and its flush", () => open === 0);
    world.mark("served beside a stuck flush");
  }
  let isOpen = scheduler.nowMs % 2 < 1; // some of them
  if (isOpen && isObliged(peer)) {
    peer.run((core) => core.roles.secondary(() => isOpen = false));
    mustEnd(peer, "a demotion", () => !isOpen);
    world.mark("demoted beside a stuck flush");
  }
}

function mustEnd(node: SimNode, what: string, isDone: () => boolean): void {
  const { world, world: { scheduler } } = node;
  const { process } = node;
  const untilMs = scheduler.nowMs + PATIENCE_MS;
  while (!isDone()) {
    if (node.process !== process || world.stuck.node === undefined) return;
    if (scheduler.nowMs > untilMs) {
      if (!isObliged(node)) return;
      world.fail("I23", `${what} of ${node.name} wait for its peer's flush`);
    }
    scheduler.runUntil(scheduler.nowMs + 100);
  }
}

function isIdle({ core }: SimNode): boolean {
  return core === undefined ||
    core.writes.isIdle && core.reads.pending === 0;
}

/** It serves, from a disk of its own, and nobody has frozen it. */
function isObliged({ core, isPaused }: SimNode): boolean {
  return core?.state.role === "Primary" && !isPaused &&
    core.state.disk === "UpToDate" && !isSuspended(core.state);
}
