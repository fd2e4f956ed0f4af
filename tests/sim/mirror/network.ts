/**
 * The connection between two nodes: a stream each way, in order, until it
 * breaks; then what is on its way is lost, and each side learns it in its time.
 *
 * @module
 */

import type { MirrorFrame } from "@kedge/schema/wire/mirror";
import type { Prng } from "../prng.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimNode } from "./sim_node.ts";

/** What goes over a stream. */
export type Item =
  | {
    readonly kind: "frames";
    readonly frames: readonly MirrorFrame[];
    readonly epoch: number;
  }
  | { readonly kind: "ping" | "pong"; readonly sentMs: number }
  | { readonly kind: "end" };

/** One side of a connection. */
export class Side {
  /** Bytes that were sent from here and have not arrived. */
  queuedBytes = 0;
  isClosed = false;
  isUp = false;
  heardMs = 0;
  pingedMs = 0;
  waiting: Item[] = [];
  lastArrivalMs = 0;
  stalled: Item[] = [];
  other!: Side;

  constructor(readonly node: SimNode, readonly process: number) {}
}

/** See the module comment. */
export class Network {
  /** By the id of the sender: how many faults cut this way. */
  readonly cuts = [0, 0];
  slowdown = 1;
  #sides: [Side, Side] | undefined;
  #isGreeting = false;

  constructor(
    readonly scheduler: Scheduler,
    readonly rng: Prng,
    readonly meanMs: number,
  ) {}

  /** Join the nodes if both look for one another. */
  meet(a: SimNode, b: SimNode): void {
    if (!a.seeks || !b.seeks || a.isPaused || b.isPaused) return;
    if (this.isCut(0) || this.isCut(1) || this.#isGreeting) return;
    const first = new Side(a, a.process);
    const second = new Side(b, b.process);
    first.other = second;
    second.other = first;
    this.#sides = [first, second];
    this.#isGreeting = true;
    let left = 2;
    const tie = this.rng.chance(0.5);
    for (const side of this.#sides) {
      this.scheduler.after(this.#delayMs(), () => {
        if (--left === 0) this.#isGreeting = false;
        if (side.isClosed) return;
        side.node.linkUp(side, (side === first) === tie);
      });
    }
  }

  /** Whether messages of this node arrive nowhere. */
  isCut(from: number): boolean {
    return (this.cuts[from] ?? 0) > 0;
  }

  /** Cut or mend one way. */
  cut(from: number, by: 1 | -1): void {
    this.cuts[from] = (this.cuts[from] ?? 0) + by;
    if (this.isCut(from)) return;
    for (const side of this.#sides ?? []) {
      if (side.node.id !== from) continue;
      const stalled = side.stalled;
      side.stalled = [];
      for (const item of stalled) this.#arrive(side, item);
    }
  }

  /** Everything is well again. */
  heal(): void {
    for (const from of [0, 1]) {
      while (this.isCut(from)) this.cut(from, -1);
    }
    this.slowdown = 1;
  }

  /** Send an item from one side. */
  send(side: Side, item: Item): void {
    if (side.isClosed && item.kind !== "end") return;
    const bytes = bytesOf(item);
    side.queuedBytes += bytes;
    const atMs = Math.max(
      side.lastArrivalMs + 0.001,
      this.scheduler.nowMs + this.#delayMs(),
    );
    side.lastArrivalMs = atMs;
    this.scheduler.after(atMs - this.scheduler.nowMs, () => {
      side.queuedBytes -= bytes;
      this.#arrive(side, item);
    });
  }

  /** One side lets go. The other one learns it behind what was sent. */
  close(side: Side, tells: boolean): void {
    if (side.isClosed) return;
    side.isClosed = true;
    if (tells) this.send(side, { kind: "end" });
  }

  /** The connection breaks: both sides learn it soon. */
  reset(): void {
    for (const side of this.#sides ?? []) {
      this.scheduler.after(this.#delayMs(), () => {
        if (!side.isClosed) side.node.linkEnded(side, false);
      });
    }
  }

  #arrive(from: Side, item: Item): void {
    const to = from.other;
    if (to.isClosed) return;
    if (this.isCut(from.node.id)) {
      from.stalled.push(item);
      return;
    }
    if (to.isUp) to.node.arrived(to, item);
    else to.waiting.push(item);
  }

  #delayMs(): number {
    const { rng } = this;
    const tail = rng.chance(0.02) ? 12 : 1;
    return rng.range(0.3, 1.7) * this.meanMs * this.slowdown * tail;
  }
}

function bytesOf(item: Item): number {
  if (item.kind !== "frames") return 0;
  let bytes = 0;
  for (const frame of item.frames) {
    bytes += "payload" in frame ? frame.payload.length + 32 : 40;
  }
  return bytes;
}
