/**
 * Puts everything that waits into one transaction.
 *
 * A batch is stored whole or not at all. After a failed commit nothing is tried
 * again: the database may have lost what it believes to have, so the log is
 * closed and only a new start (with a new incarnation) writes again.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";
import { KEPT_VERSION_MIN, type SyncPosition } from "@kedge/schema";
import type { FileRow } from "@kedge/schema/db";
import type { Applied } from "../ports.ts";
import { BodyPlaces, type BodyPlacesParts, type Due } from "./body_places.ts";
import type { DigestTable } from "./digest_table.ts";
import { FLUSHED_KEY } from "./early_flushes.ts";
import type { Pending } from "./file_actions.ts";
import type { Finisher } from "./finisher.ts";
import { mustParse } from "./layout.ts";
import {
  decide,
  heldCount,
  type NewAction,
  type Step,
  type Surroundings,
} from "./merge_core.ts";
import { positionOf } from "./positions.ts";
import { runsOf } from "./number_runs.ts";
import { leaveSegment, type Packer } from "./packer.ts";
import { recordChecksum } from "./record_checksum.ts";
import type { WriteStatements } from "./statements.ts";
import type { Op, OpResult } from "./worker_messages.ts";

/** Fact of the database: the last second whose names are not given out. */
export const NAMES_AFTER_KEY = "namesAfterS";

/** Fact of the database: where our log begins. */
export const CUT_KEY = "logCut";

/** What a committer works with. */
export interface CommitterParts
  extends Pick<BodyPlacesParts, "bodies" | "fence" | "layout" | "slow"> {
  readonly database: DatabaseSync;
  readonly statements: WriteStatements;
  readonly finisher: Finisher;
  /** Knows which files lie in segments; see `packer.ts`. */
  readonly small: {
    readonly packer:
      | Pick<Packer, "drop" | "emptied" | "sizeBytesMax">
      | undefined;
  };
  readonly digests: DigestTable;
  readonly incarnation: number;
  /** Last sequence of our log that is stored. */
  readonly head: number;
  /** Whether a store path takes bytes. */
  readonly mayWrite: (pathIndex: number) => boolean;
  /** Actions of earlier runs up to this one were flushed. */
  readonly flushedTo: number;
}

/** The one writer of the database. */
export class Committer {
  readonly #parts: CommitterParts;
  readonly #places: BodyPlaces;
  #head: number;
  #lastUnsettled: number;
  #isFull = true; // the value of PRAGMA synchronous that the connection has
  #hasUnflushed: boolean;
  #lastStamp: number;
  #tombstones: number;
  #due: Due[] = [];
  #rows: { before: FileRow | undefined; after: FileRow | undefined }[] = [];

  /** Take over the writing. */
  constructor(parts: CommitterParts, lastUnsettled: number) {
    this.#parts = parts;
    this.#places = new BodyPlaces(parts);
    this.#hasUnflushed = this.hasEarly;
    this.#head = parts.head;
    this.#lastUnsettled = lastUnsettled;
    const { lastTombstone, countTombstones } = parts.statements;
    this.#lastStamp = lastTombstone.get({})?.last ?? 0;
    this.#tombstones = countTombstones.get({})?.count ?? 0;
  }

  /** Tombstones that may be forgotten one day. */
  get tombstones(): number {
    return this.#tombstones;
  }

  /** Whether files wait for the flush of their records. */
  get hasEarly(): boolean {
    return this.#places.hasEarly;
  }

  /** Whether a commit waits for its flush. */
  get hasUnflushed(): boolean {
    return this.#hasUnflushed;
  }

  /**
   * Store a batch and carry out what follows from it.
   *
   * @param ops What to store, in order.
   * @param bytes Inline bodies of all of them.
   * @param durable Whether to flush before this returns.
   * @returns One result per op.
   * @throws {Error} When nothing was stored.
   */
  commit(ops: readonly Op[], bytes: Uint8Array, durable: boolean): OpResult[] {
    const head = this.#head;
    const lastUnsettled = this.#lastUnsettled;
    this.#due = [];
    this.#rows = [];
    this.#setDurable(durable);
    const { statements, database, finisher, digests } = this.#parts;
    let results: OpResult[];
    statements.begin();
    try {
      results = ops.map((op) => this.#store(op, bytes));
      if (durable) this.#beforeFlush();
      statements.commit();
    } catch (error) {
      this.#head = head;
      this.#lastUnsettled = lastUnsettled;
      if (database.isTransaction) database.exec("ROLLBACK");
      throw error;
    }
    this.#hasUnflushed = !durable;
    this.#places.stored(this.#due, durable);
    for (const { before, after } of this.#rows) {
      digests.change(before, after);
      this.#tombstones += (mayBeForgotten(after) ? 1 : 0) -
        (mayBeForgotten(before) ? 1 : 0);
    }
    for (const { action, payload } of this.#due) {
      finisher.finish(action, payload);
    }
    this.#due = [];
    return results;
  }

  #setDurable(durable: boolean): void {
    if (durable === this.#isFull) return;
    // NORMAL writes without a flush; checkpoints still flush in order.
    this.#parts.database.exec(
      `PRAGMA synchronous = ${durable ? "FULL" : "NORMAL"}`,
    );
    this.#isFull = durable;
  }

  #beforeFlush(): void {
    const hasFiles = this.#places.sync(this.#due);
    if (!this.#hasUnflushed && !hasFiles) return;
    // Also because a commit without a change writes and flushes nothing.
    const value = String(this.#lastUnsettled);
    this.#parts.statements.putState.run({ key: FLUSHED_KEY, value });
  }

  #store(op: Op, bytes: Uint8Array): OpResult {
    switch (op.kind) {
      case "append":
        return this.#append(op, bytes);
      case "apply":
        return this.#apply(op, bytes);
      case "adopt":
        this.#remember(op.steps);
        return done(
          op.steps.map((step) => this.#merge(step, { bytes, repairs: true })),
        );
      case "state":
        this.#parts.statements.putState.run({ key: op.key, value: op.value });
        return done([]);
      case "mark":
        return this.#mark(op);
      case "fence":
        this.#parts.statements.putPath.run({
          pathIndex: op.pathIndex,
          fenced: op.reason,
        });
        return done([]);
      case "empty-path":
        this.#parts.statements.emptyPath.run({ pathIndex: op.pathIndex });
        this.#parts.small.packer?.emptied(op.pathIndex);
        return done([]);
      case "collect":
        return this.#collect(op);
      case "cut":
        return this.#cut(op);
      case "skip":
        this.#hold(op);
        return done([]);
      case "forget-runs": {
        const { origin, incarnation } = op;
        this.#parts.statements.dropPositions.run({ origin, incarnation });
        return done([]);
      }
      case "flush":
        return done([]);
      default:
        return op satisfies never;
    }
  }

  #append(op: Op & { kind: "append" }, bytes: Uint8Array): OpResult {
    const { statements, incarnation } = this.#parts;
    const { sequence, record } = op;
    if (sequence !== this.#head + 1) {
      return refused(`record ${sequence} does not follow ${this.#head}`);
    }
    statements.putChange.run({
      ...{ incarnation, sequence, record },
      tombstone: op.step.entry.state === "tombstone" ? 1 : 0,
      crc32: recordChecksum({ incarnation, sequence, record }),
    });
    this.#head = sequence;
    if (op.key !== undefined) statements.putKey.run({ ...op.key });
    const outcome = this.#merge(op.step, { bytes });
    // Peers may have the record, so the number is used up: close the log.
    if (outcome === "needs-content" && op.step.body.kind !== "none") {
      throw new Error(`record ${sequence} came without its bytes`);
    }
    return done([outcome]);
  }

  #apply(op: Op & { kind: "apply" }, bytes: Uint8Array): OpResult {
    const { origin, incarnation, first, steps } = op;
    const position = positionOf(this.#parts.statements, {
      origin,
      incarnation,
    });
    if (first > position + 1) {
      return refused(
        `records of node ${origin} from ${first} do not follow ${position}`,
      );
    }
    const applied = steps.map((step) =>
      this.#merge(step, { bytes, saysLacking: true })
    );
    this.#remember(steps);
    // A position says that the content is here too (docs/replication.md).
    const sequence = first + heldCount(applied) - 1;
    this.#hold({ origin, incarnation, sequence });
    return done(applied);
  }

  #remember(steps: readonly Step[]): void {
    const { putKey } = this.#parts.statements;
    for (const { key } of steps) {
      if (key !== undefined) putKey.run({ ...key });
    }
  }

  #hold({ origin, incarnation, sequence }: SyncPosition): void {
    if (
      sequence <= positionOf(this.#parts.statements, { origin, incarnation })
    ) return;
    const { putPosition } = this.#parts.statements;
    putPosition.run({ origin, incarnation, sequence });
  }

  #cut({ incarnation, sequence }: Op & { kind: "cut" }): OpResult {
    const { statements } = this.#parts;
    statements.dropChanges.run({ incarnation, sequence });
    const value = JSON.stringify({ incarnation, sequence });
    statements.putState.run({ key: CUT_KEY, value });
    return done([]);
  }

  #merge(step: Step, how: Omit<Surroundings, "mayWrite">): Applied {
    const { statements } = this.#parts;
    const { id, epoch, version } = step.entry;
    const before = statements.file.get({ id });
    const { mayWrite } = this.#parts;
    const { outcome, row, actions } = decide(before, step, {
      ...how,
      mayWrite,
    });
    if (row !== undefined) {
      statements.putFile.run({ ...row });
      this.#rows.push({ before, after: row });
      if (mayBeForgotten(row)) {
        statements.putTombstone.run({ stamp: ++this.#lastStamp, id });
      }
    }
    const moved = leaveSegment(this.#parts.small.packer, id, actions);
    for (const action of moved) this.#plan({ id, epoch, version }, action);
    return outcome;
  }

  #plan(
    file: { id: string; epoch: number; version: number },
    action: NewAction,
  ): void {
    const { kind, pathIndex, payload, replaces } = action;
    const { token, offset } = this.#places.of(action, this.#isFull) ?? action;
    const pending: Pending = {
      number: ++this.#lastUnsettled,
      ...file,
      kind,
      pathIndex,
      token,
      offset,
      replaces,
      sinceMs: performance.now(),
      done: false,
    };
    const due = { action: pending, payload };
    this.#places.store(due);
    this.#due.push(due);
  }

  #mark(op: Op & { kind: "mark" }): OpResult {
    const damaged = op.damaged ? 1 : 0;
    const { id, epoch, version } = op;
    this.#parts.statements.markFile.run({ id, epoch, version, damaged });
    return done([]);
  }

  #collect({ ids, upTo, namesAfterS }: Op & { kind: "collect" }): OpResult {
    const { statements } = this.#parts;
    let collected = 0;
    for (const id of ids) {
      const stamp = statements.tombstoneOf.get({ id })?.stamp ?? Infinity;
      // Stored again since, or its bytes lie on a disk that does not let go of
      // them: an index that is rebuilt from there must meet the tombstone.
      if (stamp > upTo) continue;
      if (statements.unsettledOf.get({ id }) !== undefined) continue;
      statements.dropTombstone.run({ id });
      const before = statements.file.get({ id });
      if (!mayBeForgotten(before)) continue;
      statements.dropFile.run({ id });
      this.#rows.push({ before, after: undefined });
      collected++;
    }
    const value = String(namesAfterS);
    statements.putState.run({ key: NAMES_AFTER_KEY, value });
    return { ok: true, applied: [], collected };
  }

  /** Forget actions whose files are on the disk. */
  forget(numbers: readonly number[]): void {
    if (numbers.length === 0) return;
    const { dropUnsettled } = this.#parts.statements;
    this.transact(() => {
      for (const run of runsOf(numbers)) dropUnsettled.run(run);
    }, false);
  }

  /**
   * One transaction beside the batches.
   *
   * @param durable Whether to flush it, and all before it.
   * @throws {Error} When nothing was stored.
   */
  transact(act: () => void, durable: boolean): void {
    const { statements, database } = this.#parts;
    this.#setDurable(durable);
    statements.begin();
    try {
      act();
      if (durable) this.#beforeFlush();
      statements.commit();
    } catch (error) {
      if (database.isTransaction) database.exec("ROLLBACK");
      throw error;
    }
    this.#hasUnflushed = !durable;
    this.#places.stored([], durable);
  }
}

/**
 * Whether a row is a tombstone that may go once everybody has it. These stay for
 * good: one of a derived file, for its name is made from its master's, so the
 * same name could be made again; and one of a file that came from another store
 * (`kept_version.ts`), for the next import finds it there again.
 */
function mayBeForgotten(row: FileRow | undefined): boolean {
  if (row?.tombstone !== 1 || row.version >= KEPT_VERSION_MIN) return false;
  const { kind, origin } = mustParse(row.id);
  return kind !== "derived" && typeof origin === "number";
}

function done(applied: readonly Applied[]): OpResult {
  return { ok: true, applied, collected: 0 };
}

function refused(detail: string): OpResult {
  return { ok: false, slug: "invalid-request", detail };
}
