/**
 * When tombstones may be forgotten (promises.md F5).
 *
 * A tombstone may go once nothing that is still under way could bring its file
 * back: no record of an earlier state of it in any log, no comparison and no
 * fetch that saw the file before. A round proves that, in two barriers, under
 * one epoch in which *every member is in sync*:
 *
 * ```text
 * begin(tombstones stored up to here)
 *   barrier 1: everybody says its log's end; everybody holds all those ends
 *              ⇒ every member has the tombstones: no new record of their files
 *   barrier 2: the same again
 *              ⇒ every member has applied the last records of their files
 *   ─▶ collect, unless a fetch or comparison from before barrier 2 is open
 * ```
 *
 * Every member in sync means that each holds every acknowledged delete (that is
 * what in sync is). Member out, epoch moved, link lost: the round starts over.
 *
 * @module
 */

import type { NodeId, SyncPosition } from "@kedge/schema";

/**
 * What one member says over its own link, asked after the round began: an older
 * report proves nothing.
 */
export interface LogReport {
  /**
   * End of each incarnation of its own log: the last number that was given out,
   * stored or not.
   */
  readonly ends: readonly SyncPosition[];
  /** How far it holds every log *durably*, its own included. */
  readonly positions: readonly SyncPosition[];
}

/** The rules of this decision, for the mutation test. */
export interface TombstoneRules {
  /** Both barriers, with everybody. */
  readonly waitForEverybody: boolean;
}

/** The set that a round lives in. */
export interface RoundSet {
  readonly epoch: number;
  readonly members: readonly NodeId[];
  readonly insync: readonly NodeId[];
}

/** One attempt after another to forget tombstones. */
export class TombstoneRounds {
  readonly #node: NodeId;
  readonly #rules: TombstoneRules;
  #round: Round | undefined;

  constructor(
    node: NodeId,
    rules: TombstoneRules = { waitForEverybody: true },
  ) {
    this.#node = node;
    this.#rules = rules;
  }

  /** Whether a round is under way. */
  get active(): boolean {
    return this.#round !== undefined;
  }

  /** Which barrier the round stands before; `undefined` is no round. */
  get barrier(): 1 | 2 | undefined {
    return this.#round?.barrier;
  }

  /**
   * Begin a round.
   *
   * @param set The register's epoch and sets.
   * @param stamp Marks the tombstones that are stored here now: the caller's
   * number, handed back by {@linkcode report}.
   * @returns Whether one began: everybody must be in sync.
   */
  begin(set: RoundSet, stamp: number): boolean {
    const everybody = set.members.every((node) => set.insync.includes(node));
    if (!everybody && this.#rules.waitForEverybody) return false;
    this.#round = newRound(set, stamp);
    return true;
  }

  /** The epoch moved, a link was lost, or a member reports something odd. */
  abandon(): void {
    this.#round = undefined;
  }

  /**
   * Take the report of a member, or our own, made after {@linkcode begin}.
   *
   * @param openSince The stamp at which the oldest fetch or comparison began
   * that is still open here; `undefined` when there is none.
   * @returns The stamp up to which tombstones may be collected now.
   */
  report(
    from: NodeId,
    report: LogReport,
    now: { readonly stamp: number; readonly openSince: number | undefined },
  ): number | undefined {
    const round = this.#round;
    if (round === undefined || !round.members.includes(from)) return undefined;
    if (!this.#rules.waitForEverybody) {
      this.#round = undefined;
      return round.stamp;
    }
    round.reports.set(from, report);
    if (!isPassed(round)) return undefined;
    if (round.barrier === 1) {
      round.barrier = 2;
      round.secondBeganAt = now.stamp;
      round.reports.clear();
      round.ends = undefined;
      return undefined;
    }
    const isOpen = now.openSince !== undefined &&
      now.openSince <= round.secondBeganAt;
    if (isOpen) return undefined; // a later report tries again
    this.#round = undefined;
    return round.stamp;
  }

  /** Node that this belongs to. */
  get node(): NodeId {
    return this.#node;
  }
}

interface Round {
  readonly epoch: number;
  readonly members: readonly NodeId[];
  readonly stamp: number;
  barrier: 1 | 2;
  secondBeganAt: number;
  /** Ends of all logs at the start of the barrier, once everybody spoke. */
  ends: readonly SyncPosition[] | undefined;
  readonly reports: Map<NodeId, LogReport>;
}

function newRound(set: RoundSet, stamp: number): Round {
  return {
    epoch: set.epoch,
    members: set.members,
    stamp,
    barrier: 1,
    secondBeganAt: 0,
    ends: undefined,
    reports: new Map(),
  };
}

function isPassed(round: Round): boolean {
  const reports: LogReport[] = [];
  for (const node of round.members) {
    const report = round.reports.get(node);
    if (report === undefined) return false;
    reports.push(report);
  }
  round.ends ??= reports.flatMap((report) => report.ends);
  return round.ends.every((end) =>
    reports.every((report) => holds(report, end))
  );
}

/** Whether a member holds an incarnation of an origin's log up to its end. */
function holds(report: LogReport, end: SyncPosition): boolean {
  if (end.sequence === 0) return true;
  return report.positions.some((position) =>
    position.origin === end.origin &&
    position.incarnation === end.incarnation &&
    position.sequence >= end.sequence
  );
}
