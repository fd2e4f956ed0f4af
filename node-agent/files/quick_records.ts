/**
 * New small files whose answer needs no flush: in the quick log at once, in the
 * database a moment later. Until then their rows are in memory alone, and whoever
 * reads the database first waits for {@linkcode QuickRecords.settled}.
 *
 * @module
 */

import type { NodeId } from "@kedge/schema";
import type { Change } from "@kedge/schema/change";
import { rowOf } from "@kedge/schema/db";
import type { Applied, LogRecord } from "../ports.ts";
import type { StoredFiles, StoreParts } from "./local_files.ts";
import type { Step } from "./merge_core.ts";
import type { Prepared } from "./preparer.ts";
import type { QuickEntry } from "./quick_log_core.ts";
import type { Op } from "./worker_messages.ts";

/** Which log a record is of. */
interface LogName {
  readonly origin: NodeId;
  readonly incarnation: number;
}

/** For the change log. */
export class QuickRecords {
  readonly #parts: StoreParts;
  readonly #files: Pick<StoredFiles, "isNew">;
  readonly #own: LogName;

  /** Store records of one run of our log, and those of peers. */
  constructor(
    parts: StoreParts,
    files: Pick<StoredFiles, "isNew">,
    own: LogName,
  ) {
    this.#parts = parts;
    this.#files = files;
    this.#own = own;
  }

  /**
   * Store a record of ours, if it is one of these.
   *
   * @param prepared The record as the worker gets it.
   * @param how Whether it must be flushed; a key that must be remembered.
   * @returns Whether it is stored now.
   */
  append(
    { sequence, change }: LogRecord,
    prepared: Prepared,
    how: { readonly durable: boolean; readonly key: unknown },
  ): boolean {
    if (how.durable || how.key !== undefined) return false;
    if (!isPlain(change, prepared)) return false;
    if (!this.#files.isNew(change.entry.id)) return false;
    const record = JSON.stringify(change);
    const entry = entryOf({ ...this.#own, sequence, record }, prepared);
    const bodies = this.#parts.quick.put([entry]);
    if (bodies.length === 0) return false;
    this.#store([prepared.step], bodies, ([step]) => {
      if (step === undefined) throw new Error("a record without its step");
      return { kind: "append", sequence, record, step, key: undefined };
    });
    return true;
  }

  /**
   * Store records of a peer's log, the first ones as far as they are of these.
   *
   * @returns What became of those that are stored now.
   */
  apply(
    log: LogName,
    records: readonly LogRecord[],
    items: readonly Prepared[],
  ): Applied[] {
    const bodies = this.#parts.quick.put(this.#plain(log, records, items));
    const steps = items.slice(0, bodies.length).map(({ step }) => step);
    const first = records[0]?.sequence ?? 0;
    this.#store(
      steps,
      bodies,
      (steps) => ({ kind: "apply", ...log, first, steps }),
    );
    return bodies.map(() => "applied");
  }

  /** Entries of the first records, as far as they are of these. */
  *#plain(
    log: LogName,
    records: readonly LogRecord[],
    items: readonly Prepared[],
  ): Iterable<QuickEntry> {
    const ids = new Set<string>();
    for (const [at, { sequence, change }] of records.entries()) {
      const prepared = items[at];
      const { id } = change.entry;
      if (prepared === undefined || !isPlain(change, prepared)) return;
      if (ids.has(id) || !this.#isUnknown(id)) return;
      ids.add(id);
      const record = JSON.stringify(change);
      yield entryOf({ ...log, sequence, record }, prepared);
    }
  }

  #isUnknown(id: string): boolean {
    const { index, pump } = this.#parts;
    if (pump.failure !== undefined || !index.rows.isStill(id)) return false;
    return index.row(id) === undefined;
  }

  /** Into the database, later. */
  #store(
    steps: readonly Step[],
    bodies: readonly Uint8Array[],
    make: (steps: readonly Step[]) => Op,
  ): void {
    const count = bodies.length;
    if (count === 0) return;
    const { pump, index, quick } = this.#parts;
    const stored = pump.storeLater((start) => {
      let at = start;
      return make(steps.map((step, n) => {
        const length = bodies[n]?.length ?? 0;
        const content = { kind: "inline", at, length } as const;
        at += length;
        return { ...step, content };
      }));
    }, bodies);
    for (const { entry, pathIndex } of steps) {
      const own = { pathIndex, damaged: 0, blockCrcs: null };
      index.rows.add(rowOf(entry, own), stored);
    }
    stored.then(
      () => quick.stored(count),
      // It was answered, so it must not be forgotten: a start looks again.
      ({ message }: Error) => pump.giveUp(`answered and refused: ${message}`),
    );
  }

  /** Records of a log are in the database up to this one. */
  reach(sequence: number, log: LogName = this.#own): void {
    this.#parts.quick.reach({ ...log, sequence });
  }

  /** Resolves when the database has every record that is stored now. */
  async settled(): Promise<void> {
    const { pump, quick } = this.#parts;
    if (!quick.isWaiting || pump.failure !== undefined) return;
    await pump.store(() => ({ kind: "flush" }), [], false);
  }
}

function entryOf(
  what: LogName & { readonly sequence: number; readonly record: string },
  { step: { pathIndex }, body = new Uint8Array(0) }: Prepared,
): QuickEntry {
  return { ...what, pathIndex, body };
}

/** Whether it makes a file of bytes that are at hand, and nothing else. */
function isPlain(
  { entry, body, key }: Change,
  { step, body: bytes }: Prepared,
): boolean {
  const hasBytes = bytes !== undefined && step.content.kind === "inline";
  const hasKey = key !== undefined || step.key !== undefined;
  return hasBytes && !hasKey && body.kind === "whole" &&
    entry.state === "present" && entry.version === 1;
}
