/**
 * Streams between agents. A stream is FIFO and has no holes: what cannot be
 * delivered breaks the direction for good, and both ends learn it late, each at
 * its own time, or never before the next connection.
 *
 * @module
 */

import type { NodeId } from "@kedge/schema";
import type { Message } from "./messages.ts";
import type { Prng } from "./prng.ts";
import type { Scheduler } from "./scheduler.ts";

/** What the net needs of an agent. */
export interface NetEnd {
  readonly node: NodeId;
  readonly isUp: boolean;
  onConnected(peer: NodeId, session: number): void;
  onBroken(peer: NodeId, session: number): void;
  onMessage(peer: NodeId, session: number, message: Message): void;
}

interface Stream {
  readonly session: number;
  /** By sending node: nothing arrives any more. */
  readonly dead: Set<NodeId>;
  /** By sending node: no message arrives before this time. */
  readonly lastMs: Map<NodeId, number>;
}

/** How often an agent tries to connect, in ms. */
const CONNECT_EVERY_MS = 150;

/** See the module comment. */
export class SimNet {
  readonly #scheduler: Scheduler;
  readonly #rng: Prng;
  readonly #ends = new Map<NodeId, NetEnd>();
  readonly #streams = new Map<number, Stream>();
  readonly #blocked = new Map<number, number>();
  readonly #clogged = new Map<NodeId, number>();
  #sessions = 0;
  #isHealthy = false;

  constructor(scheduler: Scheduler, rng: Prng) {
    this.#scheduler = scheduler;
    this.#rng = rng;
  }

  /** Put an agent on the net. */
  add(end: NetEnd): void {
    for (const other of this.#ends.values()) this.#connectLoop(other, end);
    this.#ends.set(end.node, end);
  }

  /** Stop messages from one node to another; nests. */
  block(from: NodeId, to: NodeId): void {
    if (this.#isHealthy) return;
    const key = from * 16 + to;
    this.#blocked.set(key, (this.#blocked.get(key) ?? 0) + 1);
  }

  /** Take back one {@linkcode block}. */
  unblock(from: NodeId, to: NodeId): void {
    const key = from * 16 + to;
    this.#blocked.set(key, Math.max(0, (this.#blocked.get(key) ?? 0) - 1));
  }

  /** Delay the messages of a node by up to this many ms; 0 ends it. */
  clog(node: NodeId, ms: number): void {
    this.#clogged.set(node, ms);
  }

  /** Let everything through from now on. */
  heal(): void {
    this.#isHealthy = true;
    this.#blocked.clear();
    this.#clogged.clear();
  }

  /** The process of a node is gone: its peers see it at once, or much later. */
  dropAll(node: NodeId, atOnce: boolean): void {
    for (const other of this.#ends.values()) {
      const stream = this.#streams.get(pairOf(node, other.node));
      if (other.node === node || stream === undefined) continue;
      stream.dead.add(node).add(other.node);
      const ms = atOnce ? this.#rng.range(1, 40) : this.#rng.range(300, 1500);
      this.#breakEnd(other.node, node, stream.session, ms);
    }
  }

  /** An agent closes a connection. */
  close(node: NodeId, peer: NodeId, session: number): void {
    const stream = this.#streams.get(pairOf(node, peer));
    if (stream?.session !== session) return;
    stream.dead.add(node).add(peer);
    this.#breakEnd(node, peer, session, 0);
    this.#breakEnd(peer, node, session, this.#rng.range(1, 40));
  }

  /** Send over a connection, if it is still the present one. */
  send(from: NodeId, to: NodeId, session: number, message: Message): void {
    const stream = this.#streams.get(pairOf(from, to));
    if (stream?.session !== session || stream.dead.has(from)) return;
    const end = this.#ends.get(to);
    if (end === undefined) return;
    if (this.#isBlocked(from, to)) return this.#fail(stream, from, to);
    const clog = Math.max(
      this.#clogged.get(from) ?? 0,
      this.#clogged.get(to) ?? 0,
    );
    const delayMs = this.#rng.range(0.2, 3) +
      (clog > 0 ? this.#rng.range(0, clog) : 0);
    const atMs = Math.max(
      this.#scheduler.nowMs + delayMs,
      (stream.lastMs.get(from) ?? 0) + 0.001,
    );
    stream.lastMs.set(from, atMs);
    this.#scheduler.after(atMs - this.#scheduler.nowMs, () => {
      const present = this.#streams.get(pairOf(from, to));
      if (present?.session !== session || stream.dead.has(from)) return;
      if (this.#isBlocked(from, to)) return this.#fail(stream, from, to);
      end.onMessage(from, session, message);
    });
  }

  #fail(stream: Stream, from: NodeId, to: NodeId): void {
    if (stream.dead.size === 2) return;
    stream.dead.add(from);
    const { session } = stream;
    this.#breakEnd(from, to, session, this.#rng.range(100, 1500));
    this.#breakEnd(to, from, session, this.#rng.range(100, 1500));
  }

  #breakEnd(node: NodeId, peer: NodeId, session: number, ms: number): void {
    this.#scheduler.after(ms, () => {
      const stream = this.#streams.get(pairOf(node, peer));
      if (stream?.session === session) stream.dead.add(node).add(peer);
      this.#ends.get(node)?.onBroken(peer, session);
    });
  }

  #connectLoop(a: NetEnd, b: NetEnd): void {
    this.#scheduler.after(this.#rng.range(1, CONNECT_EVERY_MS), () => {
      this.#connect(a, b);
      this.#connectLoop(a, b);
    });
  }

  #connect(a: NetEnd, b: NetEnd): void {
    const pair = pairOf(a.node, b.node);
    const old = this.#streams.get(pair);
    if (old !== undefined && old.dead.size < 2) return;
    if (!a.isUp || !b.isUp) return;
    if (this.#isBlocked(a.node, b.node) || this.#isBlocked(b.node, a.node)) {
      return;
    }
    const session = ++this.#sessions;
    this.#streams.set(pair, { session, dead: new Set(), lastMs: new Map() });
    a.onConnected(b.node, session);
    b.onConnected(a.node, session);
  }

  #isBlocked(from: NodeId, to: NodeId): boolean {
    return (this.#blocked.get(from * 16 + to) ?? 0) > 0;
  }
}

function pairOf(a: NodeId, b: NodeId): number {
  return Math.min(a, b) * 16 + Math.max(a, b);
}
