/**
 * Whom to dial, and when: at once, then after pauses that double from 50 ms to
 * 1 s, with jitter. Of a pair the lower number has a head start, so that two
 * connections of one pair are rare.
 *
 * @module
 */

import type { NodeId, PeerInfo } from "@kedge/schema";

const PAUSE_MS = { first: 50, longest: 1000 } as const;
/** Head start of the lower number, in milliseconds. */
const HIGHER_WAITS_MS = 300;

/** One peer that is to be reached. */
export interface Dial {
  readonly node: NodeId;
  /** Where it is. */
  info: PeerInfo;
  /** Not before this monotonic time. */
  dueMs: number;
  pauseMs: number;
  isDialling: boolean;
  /** Why it could not be reached the last time; "" is no failure. */
  failure: string;
}

/** See the module comment. */
export class DialSchedule {
  readonly #node: NodeId;
  readonly #dials = new Map<NodeId, Dial>();

  /** Nobody is to be reached yet. */
  constructor(node: NodeId) {
    this.#node = node;
  }

  /** What is known of a peer. */
  get(peer: NodeId): Dial | undefined {
    return this.#dials.get(peer);
  }

  /** Whether a peer is to be reached. */
  has(peer: NodeId): boolean {
    return this.#dials.has(peer);
  }

  /** Who is to be reached from now on, and where. */
  setPeers(peers: readonly PeerInfo[], nowMs: number): void {
    const wanted = new Set(peers.map((peer) => peer.node));
    for (const node of this.#dials.keys()) {
      if (!wanted.has(node)) this.#dials.delete(node);
    }
    for (const info of peers) {
      const known = this.#dials.get(info.node);
      if (known === undefined) this.#add(info, nowMs);
      else known.info = info;
    }
  }

  /** Peers that it is time to dial, if there is no connection to them. */
  due(nowMs: number): Dial[] {
    return [...this.#dials.values()].filter((dial) =>
      !dial.isDialling && nowMs >= dial.dueMs
    );
  }

  /** A try has begun. */
  began(dial: Dial): void {
    dial.isDialling = true;
  }

  /**
   * A try is over.
   *
   * @param failure Why it failed, or "" when it did not.
   * @returns Whether that is news.
   */
  ended(dial: Dial, failure: string, nowMs: number): boolean {
    const isNews = failure !== dial.failure;
    dial.isDialling = false;
    dial.failure = failure;
    if (failure === "") dial.pauseMs = PAUSE_MS.first;
    dial.dueMs = nowMs + dial.pauseMs * (0.5 + Math.random());
    dial.pauseMs = Math.min(2 * dial.pauseMs, PAUSE_MS.longest);
    return isNews;
  }

  #add(info: PeerInfo, nowMs: number): void {
    const waitMs = this.#node > info.node ? HIGHER_WAITS_MS : 0;
    this.#dials.set(info.node, {
      node: info.node,
      info,
      dueMs: nowMs + waitMs,
      pauseMs: PAUSE_MS.first,
      isDialling: false,
      failure: "",
    });
  }
}
