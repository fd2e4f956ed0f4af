/**
 * All peers of a node: their links, positions and promises, and the one number
 * that answers depend on, the lowest position among the required ones.
 *
 * @module
 */

import type { GroupRegister, Level, NodeId } from "@kedge/schema";
import type { LogPosition, Standing } from "./commit_core.ts";
import { isRequired, newPeer, type Peer, peerCounts } from "./peer_core.ts";
import type { ReplicaEffect, ReplicaInput } from "./replica_messages.ts";
import type { SafetyRules } from "./rules_core.ts";

/** Inputs that belong to one connection. */
export type LinkInput = Extract<ReplicaInput, { readonly session: number }>;

/** A joiner may be this many records behind before we wait for it. */
const JOIN_LAG_MAX = 1000;

/** How long a question may stay unanswered before it is asked again, in ms. */
const ASK_AGAIN_MS = 500;

/** What decides about lateness. */
export interface LateTerms {
  readonly nowMs: number;
  readonly settings: {
    readonly ackTimeoutMs: number;
    readonly unlinkedMs: number;
    readonly goneMs: number;
    readonly regrowDelayMs: number;
  };
  /** When the oldest change was submitted that a peer keeps waiting. */
  readonly blockedSinceMs: (position: LogPosition) => number | undefined;
}

/** What decides about a request to wait for a joiner. */
export interface JoinTerms {
  /** We are in sync and can promise something. */
  readonly willing: boolean;
  /** Last sequence given out, and highest that was answered at B or C. */
  readonly head: number;
  readonly answered: number;
}

/** Nothing is required: every sequence is held by everybody. */
const EVERYTHING: LogPosition = { written: Infinity, durable: Infinity };
const NOTHING: LogPosition = { written: 0, durable: 0 };

/** See the module comment. */
export class PeerTable {
  /** Every peer that was ever heard of. */
  readonly all = new Map<NodeId, Peer>();
  readonly #node: NodeId;
  readonly #rules: SafetyRules;
  #register: GroupRegister | undefined;
  #required: Peer[] = [];

  constructor(node: NodeId, rules: SafetyRules) {
    this.#node = node;
    this.#rules = rules;
  }

  /** Peers that must have a change before it is answered. */
  get required(): readonly Peer[] {
    return this.#required;
  }

  /** The peer with this number; made when it was unknown. */
  get(node: NodeId): Peer {
    let peer = this.all.get(node);
    if (peer === undefined) {
      peer = newPeer(node);
      this.all.set(node, peer);
    }
    return peer;
  }

  /** The peer on this very connection; `undefined` when it is an older one. */
  bySession(node: NodeId, session: number): Peer | undefined {
    const peer = this.all.get(node);
    return peer?.session === session ? peer : undefined;
  }

  /** Peers that are connected. */
  linked(): Peer[] {
    return [...this.all.values()].filter((peer) => peer.session !== undefined);
  }

  /** Act under another register: promises of other epochs are void. */
  adopt(register: GroupRegister): void {
    this.#register = register;
    for (const { node } of register.members) {
      if (node !== this.#node) this.get(node);
    }
    for (const peer of this.all.values()) {
      if (!this.#rules.epochVoidsPromises) {
        if (peer.promisedUs > 0) peer.promisedUs = register.epoch;
        continue;
      }
      peer.joining = "no";
      peer.wantsPromise = false;
      peer.promisedUs = 0;
      peer.askedMs = -Infinity;
    }
    this.#findRequired();
  }

  /**
   * Take every member outside the set as promised: we may have done so before
   * we were started, and do not remember.
   */
  assumePromises(head: number): void {
    const register = this.#register;
    if (register === undefined) return;
    for (const peer of this.all.values()) {
      if (register.insync.includes(peer.node)) continue;
      peer.joining = "promised";
      peer.joiningEpoch = register.epoch;
      peer.joiningNeeds = head;
    }
    this.#findRequired();
  }

  /** A new connection. */
  link(input: LinkInput & { readonly kind: "linked" }, nowMs: number): Peer {
    const peer = this.get(input.peer);
    if (peer.session !== undefined) this.unlink(peer, nowMs);
    peer.session = input.session;
    peer.store = input.store;
    peer.toldEpoch = 0;
    peer.refusedUs = false;
    peer.linkMs = nowMs;
    peer.forgotUs = input.isCut === true;
    peer.comparedEpoch = 0; // it may have stopped, with records that nobody has
    // It may hold less than it once said: it lost power, or was wiped.
    this.#setPosition(peer, input, nowMs);
    return peer;
  }

  /** The connection is gone. */
  unlink(peer: Peer, nowMs: number): void {
    peer.session = undefined;
    peer.linkMs = nowMs;
    peer.promisedUs = 0;
    peer.wantsPromise = false;
    peer.askedMs = -Infinity;
    if (peer.joining === "waiting") peer.joining = "no";
    this.#findRequired();
  }

  /** It holds more now. */
  moved(
    peer: Peer,
    position: LogPosition & { readonly lacksEarlier: boolean },
    nowMs: number,
  ): void {
    const written = Math.max(peer.written, position.written);
    const durable = Math.max(peer.durable, position.durable);
    if (written === peer.written && durable === peer.durable) {
      peer.lacksEarlier = position.lacksEarlier;
      return;
    }
    const { lacksEarlier } = position;
    this.#setPosition(peer, { written, durable, lacksEarlier }, nowMs);
  }

  /** Whether another member in sync is connected, with its own database. */
  hasAnother(): boolean {
    const insync = this.#register?.insync ?? [];
    return this.linked().some((peer) =>
      insync.includes(peer.node) && this.#counts(peer)
    );
  }

  /** Lowest position of the required peers, but for `without`. */
  standing(without?: Peer): Standing {
    let { written, durable } = EVERYTHING;
    for (const peer of this.#required) {
      if (peer === without) continue;
      const position = this.#position(peer);
      written = Math.min(written, position.written);
      durable = Math.min(durable, position.durable);
    }
    return {
      required: { written, durable },
      hasRequired: this.#required.length > 0,
      holders: this.holders,
    };
  }

  /** Who holds our log up to a sequence, we first. */
  readonly holders = (sequence: number, level: Level): NodeId[] => {
    const holders = [this.#node];
    for (const peer of this.all.values()) {
      const position = this.#position(peer);
      const upTo = level === "C" ? position.durable : position.written;
      if (upTo >= sequence || !this.#rules.honestHolders) {
        holders.push(peer.node);
      }
    }
    return holders;
  };

  /**
   * The first required peer that keeps an answer waiting too long, or that came
   * back with another database.
   */
  late(terms: LateTerms): Peer | undefined {
    return this.#required.find((peer) =>
      peer.joining !== "waiting" && this.#isLate(peer, terms)
    );
  }

  /**
   * Stop waiting for joiners that are late and that were promised nothing.
   *
   * @returns Whether there was one.
   */
  releaseSlowJoiners(terms: LateTerms): boolean {
    const slow = this.#required.filter((peer) =>
      peer.joining === "waiting" && this.#isLate(peer, terms)
    );
    for (const peer of slow) {
      peer.joining = "no";
      peer.wantsPromise = false;
      peer.bannedUntilMs = terms.nowMs + terms.settings.regrowDelayMs;
    }
    if (slow.length > 0) this.#findRequired();
    return slow.length > 0;
  }

  /** A peer asks us to wait for it. Ignored unless it is near; it asks again. */
  requestJoin(peer: Peer, epoch: number, terms: JoinTerms & LateTerms): void {
    const register = this.#register;
    if (!terms.willing || register === undefined) return;
    if (epoch !== register.epoch || !this.#counts(peer)) return;
    if (register.insync.includes(peer.node)) return;
    if (terms.nowMs < peer.bannedUntilMs) return;
    if (peer.lacksEarlier || peer.written + JOIN_LAG_MAX < terms.head) return;
    peer.wantsPromise = true;
    if (peer.joining !== "no") return;
    peer.joining = "waiting";
    peer.joiningEpoch = epoch;
    peer.joiningNeeds = terms.answered;
    this.#findRequired();
  }

  /** Promises that can be made now. */
  promises(): ReplicaEffect[] {
    const effects: ReplicaEffect[] = [];
    for (const peer of this.#required) {
      if (!peer.wantsPromise || peer.session === undefined) continue;
      if (this.#rules.promiseNeedsLog) {
        if (peer.lacksEarlier || peer.durable < peer.joiningNeeds) continue;
      }
      peer.wantsPromise = false;
      peer.joining = "promised";
      effects.push({
        kind: "promise",
        peer: peer.node,
        session: peer.session,
        epoch: peer.joiningEpoch,
      });
    }
    return effects;
  }

  /** Ask peers to wait for us. */
  askToWait(peers: readonly Peer[], nowMs: number): ReplicaEffect[] {
    const epoch = this.#register?.epoch ?? 0;
    return peers.flatMap((peer): ReplicaEffect[] => {
      if (peer.session === undefined) return [];
      peer.askedMs = nowMs;
      const { node, session } = peer;
      return [{ kind: "request-join", peer: node, session, epoch }];
    });
  }

  /** Tell our register over a connection, unless that was done. */
  tell(peer: Peer): ReplicaEffect[] {
    const register = this.#register;
    if (register === undefined || peer.session === undefined) return [];
    if (peer.toldEpoch >= register.epoch) return [];
    peer.toldEpoch = register.epoch;
    const link = { peer: peer.node, session: peer.session };
    const effects: ReplicaEffect[] = [
      { kind: "tell-register", ...link, register },
    ];
    if (peer.refusedUs) effects.push({ kind: "send", ...link });
    peer.refusedUs = false;
    return effects;
  }

  /**
   * A connected member that was not compared with under this epoch.
   *
   * @param which Which members are meant, and how long their links must be
   * steady; all when missing.
   * @returns `undefined` when none is there now, `none-left` when all were.
   */
  notCompared(
    nowMs: number,
    which: {
      readonly isMeant: (node: NodeId) => boolean;
      readonly steadyMs: number;
      /** Age at which a comparison does not count any more. */
      readonly againMs: number;
    } = { isMeant: () => true, steadyMs: 0, againMs: Infinity },
  ): Peer | "none-left" | undefined {
    const epoch = this.#register?.epoch ?? 0;
    const members = this.#register?.members ?? [];
    const left = members.filter(({ node }) =>
      node !== this.#node && which.isMeant(node) &&
      (this.get(node).comparedEpoch !== epoch ||
        nowMs - this.get(node).comparedMs >= which.againMs)
    ).map(({ node }) => this.get(node));
    if (left.length === 0) return "none-left";
    return left.find((peer) =>
      peer.session !== undefined && nowMs >= peer.askedMs + ASK_AGAIN_MS &&
      nowMs >= peer.linkMs + which.steadyMs
    );
  }

  /** A connected peer whose log begins after what we hold of it. */
  behindCut(nowMs: number): Peer | undefined {
    for (const peer of this.all.values()) {
      if (!peer.forgotUs || peer.session === undefined) continue;
      if (nowMs >= peer.askedMs + ASK_AGAIN_MS) return peer;
    }
    return undefined;
  }

  #isLate(peer: Peer, terms: LateTerms): boolean {
    const { nowMs, settings } = terms;
    // Another database under its name: it will never have what we wait for.
    if (peer.session !== undefined && !this.#counts(peer)) return true;
    const sinceMs = terms.blockedSinceMs(this.#position(peer));
    if (sinceMs === undefined) {
      // Nothing waits, but the files that it owns cannot be changed meanwhile.
      return peer.session === undefined &&
        nowMs - peer.linkMs >= settings.goneMs;
    }
    if (peer.session === undefined) {
      return nowMs - Math.max(sinceMs, peer.linkMs) >= settings.unlinkedMs ||
        nowMs - sinceMs >= settings.ackTimeoutMs;
    }
    const waitedMs = nowMs - sinceMs;
    if (waitedMs < settings.ackTimeoutMs) return false;
    // A peer that gets ahead is slow, not gone: it gets some more time.
    return nowMs - peer.progressMs >= settings.ackTimeoutMs / 2 ||
      waitedMs >= settings.ackTimeoutMs * 2;
  }

  #counts(peer: Peer): boolean {
    const register = this.#register;
    return register !== undefined && peerCounts(peer, register, this.#rules);
  }

  #position(peer: Peer): LogPosition {
    return this.#counts(peer) ? peer : NOTHING;
  }

  #setPosition(
    peer: Peer,
    position: LogPosition & { readonly lacksEarlier: boolean },
    nowMs: number,
  ): void {
    peer.written = position.written;
    peer.durable = Math.min(position.durable, position.written);
    peer.lacksEarlier = position.lacksEarlier;
    peer.progressMs = nowMs;
  }

  #findRequired(): void {
    const register = this.#register;
    this.#required = register === undefined
      ? []
      : [...this.all.values()].filter((peer) => isRequired(peer, register));
  }
}
