/**
 * Bulk connections that we have dialled: one request and its answer at a time,
 * so that TCP itself slows a sender down and no transfer delays another.
 *
 * Connections are kept for a while after use. One on which nothing moves for
 * {@linkcode STALL_MS} while it is in use is closed.
 *
 * @module
 */

import type { NodeId, PeerAddress } from "@kedge/schema";
import type { Frame, FrameKind } from "@kedge/schema/wire/frame";
import { decodeText, encodeText, Refusal } from "@kedge/schema/wire/sync";
import type { z } from "zod";
import type { Clock, PeerTransport } from "../ports.ts";
import { FrameLink } from "./frame_link.ts";
import { greetAsDialer, type LinkIdentity } from "./greeting.ts";

/** Most connections to one peer. */
const PER_PEER_MAX = 12;
/** Most callers that wait for a connection to one peer. */
const WAITING_MAX = 256;
/** An unused connection is closed after this time, in milliseconds. */
const IDLE_MS = 15_000;
/** A connection in use on which nothing moves is closed after this, in ms. */
export const STALL_MS = 5000;
const CONNECT_MS_MAX = 1000;

/** What {@linkcode BulkPool} works with. */
export interface BulkPoolOptions {
  readonly identity: LinkIdentity;
  readonly transport: PeerTransport;
  readonly clock: Clock;
  /** Where a peer is; `undefined` when nobody knows. */
  address(peer: NodeId): PeerAddress | undefined;
  /** Our epoch, for the header of frames. */
  epoch(): number;
}

/** One connection, with the checks that every request needs. */
export class BulkCall {
  readonly link: FrameLink;
  readonly #epoch: () => number;

  /** A connection that has been greeted. */
  constructor(link: FrameLink, epoch: () => number) {
    this.link = link;
    this.#epoch = epoch;
  }

  /** Send a frame with a JSON body. */
  say(kind: FrameKind, body: unknown): void {
    this.sayBytes(kind, encodeText(body));
  }

  /** Send a frame. */
  sayBytes(kind: FrameKind, bytes: Uint8Array): void {
    this.link.send({ kind, epoch: this.#epoch(), parts: [bytes] });
  }

  /**
   * Wait for a frame of one of these kinds.
   *
   * @throws {Error} When the peer refuses, says something else, or is gone.
   */
  async hear(...kinds: readonly FrameKind[]): Promise<Frame> {
    const frame = await this.link.receive();
    if (frame === undefined) {
      throw new Error(this.link.closedWhy ?? "the connection ended");
    }
    if (kinds.includes(frame.kind)) return frame;
    const refusal = frame.kind === "refusal"
      ? decodeText(Refusal, frame.body)
      : undefined;
    const why = refusal?.ok === true
      ? `the peer refused: ${refusal.value.reason}`
      : `expected ${kinds.join(" or ")}, got ${frame.kind}`;
    this.link.close(why);
    throw new Error(why);
  }

  /** Decode a JSON body, or close the connection. */
  parse<T>(schema: z.ZodType<T>, frame: Frame): T {
    const decoded = decodeText(schema, frame.body);
    if (decoded.ok) return decoded.value;
    const why = `${frame.kind}: ${decoded.fault}`;
    this.link.close(why);
    throw new Error(why);
  }
}

interface Channel {
  readonly call: BulkCall;
  isUsed: boolean;
  movedMs: number;
  movedBytes: number;
}

interface PeerChannels {
  readonly channels: Set<Channel>;
  connecting: number;
  readonly waiting: (() => void)[];
}

/** See the module comment. */
export class BulkPool {
  readonly #options: BulkPoolOptions;
  readonly #peers = new Map<NodeId, PeerChannels>();
  #isClosed = false;

  /** A pool without connections. */
  constructor(options: BulkPoolOptions) {
    this.#options = options;
  }

  /**
   * Do something over a connection of our own. When `work` throws, the
   * connection is closed, since nobody knows what is still to come on it.
   *
   * @throws {Error} When the peer cannot be reached, or what `work` throws.
   */
  async use<T>(
    peer: NodeId,
    work: (call: BulkCall) => Promise<T>,
  ): Promise<T> {
    const call = await this.acquire(peer);
    let isDone = false;
    try {
      const result = await work(call);
      isDone = true;
      return result;
    } finally {
      this.release(peer, call, isDone);
    }
  }

  /** Whether {@linkcode acquire} need not wait for another caller. */
  isFree(peer: NodeId): boolean {
    const { channels, connecting, waiting } = this.#own(peer);
    if (waiting.length > 0) return false;
    const used = [...channels].filter(({ isUsed }) => isUsed).length;
    return used + connecting < PER_PEER_MAX;
  }

  /** Take a connection; it must be given back with {@linkcode release}. */
  async acquire(peer: NodeId): Promise<BulkCall> {
    const own = this.#own(peer);
    for (;;) {
      if (this.#isClosed) throw new Error("this node stops");
      for (const channel of own.channels) {
        if (channel.isUsed || channel.call.link.closedWhy !== undefined) {
          continue;
        }
        return this.#take(channel);
      }
      if (own.channels.size + own.connecting < PER_PEER_MAX) {
        return this.#take(await this.#connect(peer, own));
      }
      if (own.waiting.length >= WAITING_MAX) {
        throw new Error(`too much waits for node ${peer}`);
      }
      await new Promise<void>((resolve) => own.waiting.push(resolve));
    }
  }

  /** Give a connection back. One that is not `clean` is closed. */
  release(peer: NodeId, call: BulkCall, clean: boolean): void {
    const own = this.#own(peer);
    for (const channel of own.channels) {
      if (channel.call !== call) continue;
      channel.isUsed = false;
      channel.movedMs = this.#options.clock.monotonicMs();
    }
    if (!clean) call.link.close("the request was not finished");
    own.waiting.shift()?.();
  }

  /** Close what stalls and what nobody uses. About every 100 ms. */
  tick(nowMs: number): void {
    for (const { channels } of this.#peers.values()) {
      for (const channel of channels) {
        const { link } = channel.call;
        const movedBytes = link.readBytes + link.writtenBytes;
        if (movedBytes !== channel.movedBytes) {
          channel.movedBytes = movedBytes;
          channel.movedMs = nowMs;
        }
        const limitMs = channel.isUsed ? STALL_MS : IDLE_MS;
        if (nowMs - channel.movedMs > limitMs) {
          link.close(`nothing moved for ${limitMs} ms`);
        }
      }
    }
  }

  /** Close everything. */
  close(why: string): void {
    this.#isClosed = true;
    for (const { channels, waiting } of this.#peers.values()) {
      for (const { call } of channels) call.link.close(why);
      for (const wake of waiting.splice(0)) wake();
    }
  }

  #own(peer: NodeId): PeerChannels {
    const known = this.#peers.get(peer);
    if (known !== undefined) return known;
    const own = { channels: new Set<Channel>(), connecting: 0, waiting: [] };
    this.#peers.set(peer, own);
    return own;
  }

  #take(channel: Channel): BulkCall {
    channel.isUsed = true;
    channel.movedMs = this.#options.clock.monotonicMs();
    return channel.call;
  }

  async #connect(peer: NodeId, own: PeerChannels): Promise<Channel> {
    const { address, transport, identity, clock, epoch } = this.#options;
    const where = address(peer);
    if (where === undefined) {
      throw new Error(`the address of node ${peer} is not known`);
    }
    own.connecting++;
    try {
      const link = new FrameLink(
        await transport.connect(where, CONNECT_MS_MAX),
      );
      await greetAsDialer(link, identity, { to: peer, purpose: "bulk" });
      const channel: Channel = {
        call: new BulkCall(link, epoch),
        isUsed: true,
        movedMs: clock.monotonicMs(),
        movedBytes: 0,
      };
      own.channels.add(channel);
      void link.closed.then(() => {
        own.channels.delete(channel);
        own.waiting.shift()?.();
      });
      if (this.#isClosed) link.close("this node stops");
      return channel;
    } finally {
      own.connecting--;
      if (own.waiting.length > 0) own.waiting.shift()?.();
    }
  }
}
