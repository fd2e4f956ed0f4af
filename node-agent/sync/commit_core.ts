/**
 * The changes of this node that wait for their answer: numbering, and the
 * moment of each answer.
 *
 * @module
 */

import type { Level, NodeId } from "@kedge/schema";
import { PendingQueue } from "./pending_core.ts";
import type { ReplicaEffect } from "./replica_messages.ts";
import type { SafetyRules } from "./rules_core.ts";

/** A position in our log: stored, and flushed. */
export interface LogPosition {
  readonly written: number;
  readonly durable: number;
}

/** What the settling of answers has to know of the world. */
export interface Standing {
  /** Lowest position among the required peers; Infinity when there is none. */
  readonly required: LogPosition;
  /** Whether somebody else must hold a change: otherwise the level is A. */
  readonly hasRequired: boolean;
  /** Peers that hold the log up to a sequence. */
  readonly holders: (sequence: number, level: Level) => NodeId[];
}

/** Numbers changes and says when they are answered. */
export class CommitQueue {
  readonly #queues: Readonly<Record<Level, PendingQueue>> = {
    A: new PendingQueue(),
    B: new PendingQueue(),
    C: new PendingQueue(),
  };
  readonly #rules: SafetyRules;
  #head: number;
  #answered: number;
  #logged: LogPosition;

  /**
   * @param head Last sequence of our log at the start: written and durable.
   */
  constructor(head: number, rules: SafetyRules) {
    this.#head = head;
    this.#answered = head;
    this.#logged = { written: head, durable: head };
    this.#rules = rules;
  }

  /** Last sequence that was given out. */
  get head(): number {
    return this.#head;
  }

  /** Highest sequence that was answered at level B or C. */
  get answered(): number {
    return this.#answered;
  }

  /** Changes that wait. */
  get size(): number {
    return this.#queues.A.size + this.#queues.B.size + this.#queues.C.size;
  }

  /** Give a change its number and wait for it. */
  submit(
    change: { readonly op: number; readonly level: Level },
    origin: NodeId | undefined,
    nowMs: number,
  ): ReplicaEffect {
    const { op, level } = change;
    const sequence = ++this.#head;
    this.#queues[level].push({ op, sequence, sinceMs: nowMs, origin });
    return { kind: "append", op, sequence, durable: level === "C" };
  }

  /**
   * Give up changes of files that we do not own any more. The new owner may
   * have changed the same state; then ours is overtaken although every peer
   * holds its record.
   */
  ownershipMoved(
    isOurs: (origin: NodeId) => boolean,
    effects: ReplicaEffect[],
  ): void {
    for (const level of ["A", "B", "C"] as const) {
      const lost = this.#queues[level].takeWhere(({ origin }) =>
        origin !== undefined && !isOurs(origin)
      );
      for (const { op } of lost) {
        effects.push({
          kind: "uncertain",
          op,
          why: "the file's owner changed",
        });
      }
    }
  }

  /** Our log has grown. Positions only go forward. */
  logged(position: LogPosition): void {
    this.#logged = {
      written: Math.max(this.#logged.written, position.written),
      durable: Math.max(this.#logged.durable, position.durable),
    };
  }

  /** Answer everything that is done, into `effects`. */
  settle(standing: Standing, effects: ReplicaEffect[]): void {
    const { written, durable } = this.#logged;
    const peers = standing.required;
    this.#answer("A", written, standing, effects);
    this.#answer("B", Math.min(written, peers.written), standing, effects);
    const upTo = this.#rules.durableAtC
      ? Math.min(durable, peers.durable)
      : Math.min(written, peers.written);
    this.#answer("C", upTo, standing, effects);
  }

  /** Answer what needs no peer: for a node that is not in sync any more. */
  settleLocal(holders: Standing["holders"], effects: ReplicaEffect[]): void {
    const required = { written: 0, durable: 0 };
    const standing = { required, hasRequired: false, holders };
    this.#answer("A", this.#logged.written, standing, effects);
  }

  /**
   * The oldest change that a peer at this position keeps waiting.
   *
   * @returns When it was submitted; `undefined` when it waits for nothing there.
   */
  blockedSinceMs(position: LogPosition): number | undefined {
    const b = this.#queues.B.oldest;
    const c = this.#queues.C.oldest;
    const forB = b !== undefined && b.sequence > position.written;
    const forC = c !== undefined && c.sequence > position.durable;
    if (!forB && !forC) return undefined;
    return Math.min(
      forB ? b.sinceMs : Infinity,
      forC ? c.sinceMs : Infinity,
    );
  }

  /** Give up what has waited since before a time. */
  giveUp(
    which: { readonly beforeMs: number; readonly levels: readonly Level[] },
    why: string,
    effects: ReplicaEffect[],
  ): void {
    for (const level of which.levels) {
      const queue = this.#queues[level];
      for (;;) {
        const change = queue.takeOlderThan(which.beforeMs);
        if (change === undefined) break;
        effects.push({ kind: "uncertain", op: change.op, why });
      }
    }
  }

  #answer(
    level: Level,
    upTo: number,
    standing: Standing,
    effects: ReplicaEffect[],
  ): void {
    const queue = this.#queues[level];
    for (;;) {
      const change = queue.takeUpTo(upTo);
      if (change === undefined) return;
      if (level !== "A") {
        this.#answered = Math.max(this.#answered, change.sequence);
      }
      effects.push({
        kind: "answer",
        op: change.op,
        level: standing.hasRequired ? level : "A",
        holders: standing.holders(change.sequence, level),
      });
    }
  }
}
