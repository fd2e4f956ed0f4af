/**
 * One control connection to every other member, kept up.
 *
 * Both sides may dial (`dial_schedule.ts`). Of two connections of one pair the
 * newer one counts; only a call of the higher number that crosses one of the
 * lower number is refused as `busy`.
 *
 * @module
 */

import type { NodeId, PeerInfo } from "@kedge/schema";
import type { Frame } from "@kedge/schema/wire/frame";
import {
  decodeText,
  encodeText,
  type Hello,
  LinkState,
  type Refusal,
} from "@kedge/schema/wire/sync";
import { GreetingDesk, hostOf } from "../greeting_desk.ts";
import type { ByteChannel, Clock, Log, PeerTransport } from "../ports.ts";
import { type Dial, DialSchedule } from "./dial_schedule.ts";
import { FrameLink } from "./frame_link.ts";
import {
  greetAsAcceptor,
  greetAsDialer,
  type GreetedPeer,
  GreetingError,
  type LinkIdentity,
} from "./greeting.ts";
import { Liveness, SUSPECT_MS } from "./liveness.ts";
import { RefusalLog } from "./refusal_log.ts";

const CONNECT_MS_MAX = 1000;
/** Most open bulk connections that peers may hold. */
const BULK_CHANNELS_MAX = 64;
/** A pause of our own event loop that makes silence prove nothing, in ms. */
const OWN_PAUSE_MS = 400;

/** A control connection to a peer that has proven itself. */
export interface ControlLink {
  readonly peer: NodeId;
  /** A new number with every connection. */
  readonly session: number;
  /** Identity of the peer's database. */
  readonly store: string;
  /** Identity of the peer's process. */
  readonly boot: string;
  /** Whether the lower number of the two has dialled. */
  readonly byLower: boolean;
  readonly link: FrameLink;
}

/** What the owner of the links has to know and to do. */
export interface PeerLinkEvents {
  /** Whether this node belongs to our group. */
  isMember(node: NodeId): boolean;
  /** What to tell a peer first: our register and our positions of its log. */
  stateFor(peer: NodeId): Promise<LinkState>;
  /** Our epoch, for the header of frames. */
  epoch(): number;
  /** A peer is connected; both sides have told their state. */
  linked(control: ControlLink, theirs: LinkState, ours: LinkState): void;
  /** A frame came. */
  frame(control: ControlLink, frame: Frame): void;
  /** A peer acted under this epoch at some time after `sinceMs`. */
  confirmed(peer: NodeId, epoch: number, sinceMs: number): void;
  /** The connection of a linked peer is gone. */
  unlinked(control: ControlLink, why: string): void;
  /** A peer wants to ask things over a bulk connection. */
  bulk(peer: GreetedPeer, link: FrameLink): Promise<void>;
  /** Somebody whom our register does not name has called. */
  stranger(node: NodeId): void;
}

/** What {@linkcode PeerLinks} works with. */
export interface PeerLinkOptions {
  readonly identity: LinkIdentity;
  readonly transport: PeerTransport;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: PeerLinkEvents;
}

/** The control connections of one node. */
export class PeerLinks {
  readonly #options: PeerLinkOptions;
  readonly #dials: DialSchedule;
  readonly #links = new Map<NodeId, ControlLink>();
  readonly #liveness = new Map<ControlLink, Liveness>();
  readonly #pending = new Set<FrameLink>();
  readonly #bulk = new Set<FrameLink>();
  readonly #desk = new GreetingDesk();
  readonly #refusals: RefusalLog;
  #lastSession = 0;
  #lastTickMs: number;
  #isClosed = false;

  /** Links of nobody yet. */
  constructor(options: PeerLinkOptions) {
    this.#options = options;
    this.#refusals = new RefusalLog(options.clock, options.log);
    this.#dials = new DialSchedule(options.identity.node);
    this.#lastTickMs = options.clock.monotonicMs();
  }

  /** The connection to a peer. */
  get(peer: NodeId): ControlLink | undefined {
    return this.#links.get(peer);
  }

  /** Where a peer can be reached. */
  address(peer: NodeId): PeerInfo | undefined {
    return this.#dials.get(peer)?.info;
  }

  /** Why a peer could not be reached the last time; "" is no failure. */
  lastFailure(peer: NodeId): string {
    return this.#dials.get(peer)?.failure ?? "";
  }

  /** Who is to be reached, and where. Others are hung up on. */
  setPeers(peers: readonly PeerInfo[]): void {
    const nowMs = this.#options.clock.monotonicMs();
    this.#dials.setPeers(peers, nowMs);
    this.#desk.setPeers(peers.map(({ peerAddress }) => peerAddress.hostname));
    for (const [node, control] of this.#links) {
      if (!this.#dials.has(node) && !this.#options.events.isMember(node)) {
        control.link.close("the node is no longer a member");
      }
    }
    this.#dialDue(nowMs);
  }

  /** Take a connection that somebody has made to us. */
  accept(channel: ByteChannel): void {
    if (this.#isClosed) return channel.close();
    void this.#welcome(new FrameLink(channel));
  }

  /** Dial, ping and suspect. To be called about every 100 ms. */
  tick(nowMs: number): void {
    const wasPaused = nowMs - this.#lastTickMs > OWN_PAUSE_MS;
    this.#lastTickMs = nowMs;
    for (const [control, liveness] of this.#liveness) {
      const verdict = liveness.check(nowMs, wasPaused);
      if (verdict === "suspect") {
        control.link.close(`nothing was heard for ${SUSPECT_MS} ms`);
      } else if (verdict === "ping") {
        control.link.send({
          kind: "ping",
          epoch: this.#options.events.epoch(),
        });
      }
    }
    this.#dialDue(nowMs);
  }

  /** Hang up on everybody. */
  close(why: string): void {
    this.#isClosed = true;
    for (const link of [...this.#pending, ...this.#bulk]) link.close(why);
    for (const control of this.#links.values()) control.link.end(why);
  }

  #dialDue(nowMs: number): void {
    if (this.#isClosed) return;
    for (const dial of this.#dials.due(nowMs)) {
      if (!this.#links.has(dial.node)) void this.#dial(dial);
    }
  }

  async #dial(dial: Dial): Promise<void> {
    const { clock, log } = this.#options;
    this.#dials.began(dial);
    let why = "";
    try {
      await this.#connect(dial);
    } catch (error) {
      why = error instanceof Error ? error.message : String(error);
    }
    const isNews = this.#dials.ended(dial, why, clock.monotonicMs());
    if (isNews && why !== "") {
      log.warn("cannot link to a peer", { peer: dial.node, why });
    }
  }

  async #connect({ node, info }: Dial): Promise<void> {
    const { transport, identity } = this.#options;
    const channel = await transport.connect(info.peerAddress, CONNECT_MS_MAX);
    const link = this.#track(channel);
    try {
      const call = { to: node, purpose: "control" } as const;
      const peer = await greetAsDialer(link, identity, call);
      await this.#exchangeStates(link, peer, identity.node < node);
    } finally {
      this.#pending.delete(link);
    }
  }

  #track(channel: ByteChannel): FrameLink {
    const link = new FrameLink(channel);
    this.#pending.add(link);
    if (this.#isClosed) link.close("this node stops");
    return link;
  }

  async #welcome(link: FrameLink): Promise<void> {
    const place = {
      host: hostOf(link.remote),
      close: () => link.close("newer connections need its place"),
    };
    this.#desk.enter(place);
    this.#pending.add(link);
    let peer: GreetedPeer | undefined;
    try {
      peer = await greetAsAcceptor(
        link,
        this.#options.identity,
        (hello) => this.#admit(hello),
      );
    } catch (error) {
      if (!(error instanceof GreetingError)) throw error;
      this.#refusals.refused(place.host, error.message);
    } finally {
      this.#desk.leave(place, peer !== undefined);
      if (peer === undefined) this.#pending.delete(link);
    }
    if (peer !== undefined) await this.#welcomed(link, peer);
  }

  async #welcomed(link: FrameLink, peer: GreetedPeer): Promise<void> {
    try {
      if (peer.purpose === "bulk") await this.#serveBulk(link, peer);
      else {
        const byLower = peer.node < this.#options.identity.node;
        await this.#exchangeStates(link, peer, byLower);
      }
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      link.close(why);
      this.#options.log.warn("a link failed", { peer: peer.node, why });
    } finally {
      this.#pending.delete(link);
    }
  }

  async #serveBulk(link: FrameLink, peer: GreetedPeer): Promise<void> {
    this.#pending.delete(link);
    if (this.#bulk.size >= BULK_CHANNELS_MAX) {
      link.close("too many bulk connections");
      return;
    }
    this.#bulk.add(link);
    try {
      await this.#options.events.bulk(peer, link);
    } finally {
      this.#bulk.delete(link);
      link.close("done");
    }
  }

  #admit(hello: Hello): Refusal | undefined {
    const { events, identity } = this.#options;
    if (!events.isMember(hello.node)) {
      // Not proven yet, so this may only cause a look at the register.
      events.stranger(hello.node);
      return {
        reason: "not-a-member",
        detail:
          `node ${hello.node} is not a member as node ${identity.node} knows it`,
      };
    }
    if (hello.purpose === "bulk") return undefined;
    const standing = this.#links.get(hello.node);
    const isCrossing = standing?.boot === hello.boot && standing.byLower &&
      hello.node > identity.node;
    return isCrossing
      ? { reason: "busy", detail: "there is a connection already" }
      : undefined;
  }

  async #exchangeStates(
    link: FrameLink,
    peer: GreetedPeer,
    byLower: boolean,
  ): Promise<void> {
    const { events } = this.#options;
    const ours = await events.stateFor(peer.node);
    link.send({
      kind: "state",
      epoch: events.epoch(),
      parts: [encodeText(ours)],
    });
    const frame = await link.receive();
    if (frame === undefined) {
      throw new GreetingError(link.closedWhy ?? "the connection ended");
    }
    const state = frame.kind === "state"
      ? decodeText(LinkState, frame.body)
      : { ok: false as const, fault: `${frame.kind} came before state` };
    if (!state.ok) {
      link.close(state.fault);
      throw new GreetingError(state.fault);
    }
    this.#establish(link, { peer, byLower, theirs: state.value, ours });
  }

  #establish(
    link: FrameLink,
    { peer, byLower, theirs, ours }: {
      readonly peer: GreetedPeer;
      readonly byLower: boolean;
      readonly theirs: LinkState;
      readonly ours: LinkState;
    },
  ): void {
    const { clock, events } = this.#options;
    if (this.#isClosed) return link.close("this node stops");
    const control: ControlLink = {
      peer: peer.node,
      session: ++this.#lastSession,
      store: peer.store,
      boot: peer.boot,
      byLower,
      link,
    };
    const before = this.#links.get(peer.node);
    if (before !== undefined) {
      if (before.boot === peer.boot && before.byLower && !byLower) {
        return link.close("there is a connection already");
      }
      this.#drop(before, "replaced by a newer connection");
    }
    this.#links.set(peer.node, control);
    this.#liveness.set(control, new Liveness(link, clock.monotonicMs()));
    void link.closed.then((why) => this.#drop(control, why));
    events.linked(control, theirs, ours);
    void this.#readAll(control);
  }

  async #readAll(control: ControlLink): Promise<void> {
    const { link } = control;
    try {
      do {
        for (let frame = link.next(); frame; frame = link.next()) {
          this.#take(control, frame);
        }
      } while (await link.fill());
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      link.close(why);
    }
  }

  #take(control: ControlLink, frame: Frame): void {
    const { events } = this.#options;
    if (frame.kind === "pong") {
      const sentMs = this.#liveness.get(control)?.ponged();
      if (sentMs === undefined) {
        return control.link.close("a pong came without a ping");
      }
      return events.confirmed(control.peer, frame.epoch, sentMs);
    }
    if (frame.kind !== "ping") return events.frame(control, frame);
    control.link.send({ kind: "pong", epoch: events.epoch() });
  }

  #drop(control: ControlLink, why: string): void {
    if (!this.#liveness.delete(control)) return;
    control.link.close(why);
    if (this.#links.get(control.peer) === control) {
      this.#links.delete(control.peer);
    }
    this.#options.events.unlinked(control, why);
  }
}
