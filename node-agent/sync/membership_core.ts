/**
 * How a node gets into the in-sync set, and what it does there besides
 * answering: joining, recovering after a loss, staying equal. Each is a sequence
 * of comparisons and questions to peers; the change of the register itself is
 * asked for by `replica_core.ts`.
 *
 * @module
 */

import { type GroupRegister, isInSync, type NodeId } from "@kedge/schema";
import { nextJoinStep } from "./join_core.ts";
import type { PeerTable } from "./peer_table_core.ts";
import type { ReplicaEffect, ReplicaInput } from "./replica_messages.ts";
import type { ReplicaSettings } from "./replica_start_core.ts";
import type { SafetyRules } from "./rules_core.ts";
import type { Suspicion } from "./want_core.ts";

/** What belongs to one node. */
export interface MembershipParts {
  readonly node: NodeId;
  readonly peers: PeerTable;
  readonly settings: ReplicaSettings;
  readonly rules: SafetyRules;
  /** Records may have been lost before this start. */
  readonly isSuspect: boolean;
  /** Our database may be an older copy, until somebody vouches for it. */
  readonly mayBeOld: boolean;
}

/** What to do next. */
export interface MembershipStep {
  readonly effects: readonly ReplicaEffect[];
  /** Everything is ready to grow under the present epoch. */
  readonly grows: boolean;
}

const NOTHING: MembershipStep = { effects: [], grows: false };

/** See the module comment. */
export class Membership {
  readonly #parts: MembershipParts;
  #suspicion: Suspicion;
  #mayBeOld: boolean;
  /** No tracker can be asked: the others must vouch for us. */
  #isAlone = false;
  #comparing: { readonly node: NodeId; readonly epoch: number } | undefined;
  #comparedEpoch = 0;
  /** 0 until this node was taken out for the first time in this life. */
  #joinNotBeforeMs = 0;
  #epochSinceMs = 0;
  #grewUnder: number | undefined;

  constructor(parts: MembershipParts) {
    this.#parts = parts;
    this.#suspicion = parts.isSuspect ? { untilMs: undefined } : undefined;
    this.#mayBeOld = parts.mayBeOld;
  }

  /** That records may be missing here, until joining has proven otherwise. */
  get suspicion(): Suspicion {
    return this.#suspicion;
  }

  /** Whether records may be missing here. */
  get isSuspect(): boolean {
    return this.#suspicion !== undefined;
  }

  /** Whether this may be an older copy of our database. */
  get mayBeOld(): boolean {
    return this.#mayBeOld;
  }

  /** A tracker knows this as the state that ran last. */
  vouched(): void {
    this.#mayBeOld = false;
  }

  /** Trackers can be reached, or cannot. */
  trackerSeen(isReachable: boolean): void {
    this.#isAlone = !isReachable;
  }

  /** The node acts under another register now. */
  adopted(
    register: GroupRegister,
    was: GroupRegister | undefined,
    nowMs: number,
  ): void {
    const { node, settings } = this.#parts;
    this.#comparing = undefined;
    this.#epochSinceMs = nowMs;
    if (isInSync(register, node)) return this.#clearSuspicion(register, nowMs);
    if (was !== undefined && isInSync(was, node)) {
      this.#joinNotBeforeMs = nowMs + settings.regrowDelayMs;
    }
  }

  /** A connection is gone: a link that flaps must not move epochs. */
  linkLost(
    peer: NodeId,
    register: GroupRegister | undefined,
    nowMs: number,
  ): void {
    const { node, settings } = this.#parts;
    if (this.#comparing?.node === peer) this.#comparing = undefined;
    if (register === undefined || isInSync(register, node)) return;
    if (!isInSync(register, peer) || this.#joinNotBeforeMs === 0) return;
    this.#joinNotBeforeMs = nowMs + settings.regrowDelayMs;
  }

  /** A comparison ended. Only the one under way counts. */
  compared(
    input: ReplicaInput & { readonly kind: "compared" },
    register: GroupRegister | undefined,
  ): void {
    const comparing = this.#comparing;
    if (comparing?.node !== input.donor) return;
    if (comparing.epoch !== input.epoch) return;
    this.#comparing = undefined;
    if (!input.ok) return;
    const peer = this.#parts.peers.get(input.donor);
    peer.comparedEpoch = input.epoch;
    peer.comparedMs = peer.askedMs;
    peer.askedMs = -Infinity;
    if (register !== undefined && isInSync(register, input.donor)) {
      this.#comparedEpoch = input.epoch;
    }
  }

  /**
   * Logs whose forgotten part we hold now: by comparison with their owners,
   * whose index knows what became of every record.
   */
  skips(register: GroupRegister): ReplicaEffect[] {
    const { peers, rules } = this.#parts;
    const effects: ReplicaEffect[] = [];
    for (const peer of peers.all.values()) {
      const { node, session } = peer;
      if (!peer.forgotUs || session === undefined) continue;
      const isCompared = peer.comparedEpoch === register.epoch;
      if (rules.compareBehindCut && !isCompared) continue;
      peer.forgotUs = false;
      effects.push({ kind: "skip", peer: node, session });
    }
    return effects;
  }

  /** `grow` is asked for under this epoch. */
  grows(epoch: number): void {
    this.#grewUnder = epoch;
  }

  /**
   * The next step.
   *
   * @param canHold Whether this node can take anything in and has what it took;
   * without that it cannot join.
   */
  step(
    register: GroupRegister,
    nowMs: number,
    canHold: boolean,
  ): MembershipStep {
    const behind = this.#parts.peers.behindCut(nowMs);
    if (behind !== undefined && canHold && this.#comparing === undefined) {
      return this.#compare(behind.node, register, nowMs);
    }
    if (isInSync(register, this.#parts.node)) {
      if (this.#mayBeOld) return this.#askOthers(register, nowMs);
      return this.isSuspect
        ? this.#recover(register, nowMs)
        : this.#keepEqual(register, nowMs);
    }
    return canHold ? this.#join(register, nowMs) : NOTHING;
  }

  /**
   * What was lost cannot hurt any more: we came in by joining in this life, or
   * nobody else is in sync and new changes have a higher epoch than lost ones.
   */
  #clearSuspicion(register: GroupRegister, nowMs: number): void {
    const untilMs = this.#suspicion?.untilMs;
    const joined = this.#grewUnder !== undefined &&
      register.epoch > this.#grewUnder;
    const alone = register.insync.length === 1 && untilMs !== undefined &&
      nowMs >= untilMs;
    if (joined || alone) this.#suspicion = undefined;
    if (joined) this.#mayBeOld = false;
  }

  #join(register: GroupRegister, nowMs: number): MembershipStep {
    const { peers, rules } = this.#parts;
    const step = nextJoinStep({
      register,
      peers: peers.all,
      nowMs,
      notBeforeMs: this.#joinNotBeforeMs,
      comparing: this.#comparing?.node,
      comparedEpoch: this.#comparedEpoch,
      rules,
    });
    switch (step.kind) {
      case "wait":
        return NOTHING;
      case "compare":
        return this.#compare(step.donor.node, register, nowMs);
      case "ask":
        return { effects: peers.askToWait(step.peers, nowMs), grows: false };
      case "grow":
        return { effects: [], grows: true };
      default:
        return step satisfies never;
    }
  }

  /** The last one in sync lost records: ask everybody what it was, for a while. */
  #recover(register: GroupRegister, nowMs: number): MembershipStep {
    if (register.members.length === 1) {
      this.#suspicion = undefined; // nobody else ever saw what we lost
      return NOTHING;
    }
    if (register.insync.length > 1) return NOTHING;
    const { peers, settings } = this.#parts;
    const untilMs = this.#suspicion?.untilMs ?? nowMs + settings.giveUpMs;
    this.#suspicion = { untilMs };
    if (this.#comparing !== undefined) return NOTHING;
    const peer = peers.notCompared(nowMs);
    if (peer === "none-left") this.#suspicion = { untilMs: nowMs };
    else if (peer !== undefined) {
      return this.#compare(peer.node, register, nowMs);
    }
    return NOTHING;
  }

  /**
   * Without a tracker, who is in sync knows whether we are: everything that was
   * acknowledged is with each of them, so equal to all of them is up to date.
   * The last one in sync asks all members; the only member asks nobody.
   */
  #askOthers(register: GroupRegister, nowMs: number): MembershipStep {
    if (!this.#isAlone || this.#comparing !== undefined) return NOTHING;
    const isLast = register.insync.length === 1;
    const peer = this.#parts.peers.notCompared(nowMs, {
      isMeant: (other) => isLast || isInSync(register, other),
      steadyMs: 0,
      againMs: Infinity,
    });
    if (peer === "none-left") this.#mayBeOld = false;
    else if (peer !== undefined) {
      return this.#compare(peer.node, register, nowMs);
    }
    return NOTHING;
  }

  /**
   * Once per epoch and link, the lower node compares. What only some members
   * hold (records of a node that was lost since, states taken over by
   * comparison) spreads this way; answers never wait for it.
   */
  #keepEqual(register: GroupRegister, nowMs: number): MembershipStep {
    const { node, peers, settings } = this.#parts;
    const steadyMs = settings.regrowDelayMs;
    if (this.#comparing !== undefined) return NOTHING;
    if (nowMs < this.#epochSinceMs + steadyMs) return NOTHING;
    const peer = peers.notCompared(nowMs, {
      isMeant: (other) => other > node && isInSync(register, other),
      steadyMs,
      againMs: settings.compareAgainMs,
    });
    if (peer === undefined || peer === "none-left") return NOTHING;
    return this.#compare(peer.node, register, nowMs);
  }

  #compare(
    node: NodeId,
    register: GroupRegister,
    nowMs: number,
  ): MembershipStep {
    const peer = this.#parts.peers.get(node);
    const { session } = peer;
    if (session === undefined) return NOTHING;
    peer.askedMs = nowMs;
    const { epoch } = register;
    this.#comparing = { node, epoch };
    return {
      effects: [{ kind: "compare", peer: node, session, epoch }],
      grows: false,
    };
  }
}
