/**
 * New small files whose answer needs no flush: in the quick log at once, in the
 * database a moment later. Until then their rows are in memory alone, and whoever
 * reads the database first waits for {@linkcode QuickRecords.settled}.
 * Bodies of middle size are in their files already (`early_files.ts`).
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

/** A record that may be stored, and what the quick log says of it. */
interface Given {
  readonly facts: LogName & {
    readonly sequence: number;
    /** The change as JSON. */
    readonly record: string;
  };
  readonly prepared: Prepared;
}

const NOTHING = new Uint8Array(0);
/** Files of one call are written for so long; the rest goes the longer way. */
const FILES_MS_MAX = 20;

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
    const facts = { ...this.#own, sequence, record };
    return this.#put([{ facts, prepared }], 1, ([step]) => {
      if (step === undefined) throw new Error("a record without its step");
      return { kind: "append", sequence, record, step, key: undefined };
    }) === 1;
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
    const first = records[0]?.sequence ?? 0;
    const count = this.#put(
      this.#plain(log, records, items),
      records.length,
      (steps) => ({ kind: "apply", ...log, first, steps }),
    );
    return Array.from({ length: count }, () => "applied");
  }

  /** The first records, as far as they are of these. */
  *#plain(
    log: LogName,
    records: readonly LogRecord[],
    items: readonly Prepared[],
  ): Iterable<Given> {
    const ids = new Set<string>();
    for (const [at, { sequence, change }] of records.entries()) {
      const prepared = items[at];
      const { id } = change.entry;
      if (prepared === undefined || !isPlain(change, prepared)) return;
      if (ids.has(id) || !this.#isUnknown(id)) return;
      ids.add(id);
      const record = JSON.stringify(change);
      yield { facts: { ...log, sequence, record }, prepared };
    }
  }

  #isUnknown(id: string): boolean {
    const { index, pump } = this.#parts;
    if (pump.failure !== undefined || !index.rows.isStill(id)) return false;
    return index.row(id) === undefined;
  }

  /**
   * @param together How many came.
   * @returns How many of them are stored now.
   */
  #put(
    given: Iterable<Given>,
    together: number,
    make: (steps: readonly Step[]) => Op,
  ): number {
    const { quick, early } = this.#parts;
    const taken: Prepared[] = [];
    const bodies = quick.put(this.#entries(given, together, taken));
    for (const left of taken.splice(bodies.length)) early.drop(left);
    if (taken.length > 0) this.#store(taken, bodies, make);
    return taken.length;
  }

  /** What is written into the quick log; its files are made on the way. */
  *#entries(
    given: Iterable<Given>,
    together: number,
    taken: Prepared[],
  ): Iterable<QuickEntry> {
    let isFirst = true;
    const beganMs = performance.now();
    for (const { facts, prepared } of given) {
      if (isFirst && !this.#parts.quick.follows(facts)) return;
      isFirst = false;
      const isLate = performance.now() - beganMs > FILES_MS_MAX;
      const { step, body = NOTHING } = isLate
        ? prepared
        : this.#parts.early.take(prepared, together);
      taken.push({ step, body });
      const { pathIndex, content } = step;
      const token = content.kind === "whole" ? content.token : "";
      yield { ...facts, pathIndex, body, token };
    }
  }

  /** Into the database, later. */
  #store(
    taken: readonly Prepared[],
    bodies: readonly Uint8Array[],
    make: (steps: readonly Step[]) => Op,
  ): void {
    const { pump, index, quick, early, reader } = this.#parts;
    const stored = pump.storeLater((start) => {
      let at = start;
      return make(taken.map(({ step }, n) => {
        if (step.content.kind === "whole") return step;
        const length = bodies[n]?.length ?? 0;
        const content = { kind: "inline", at, length } as const;
        at += length;
        return { ...step, content };
      }));
    }, bodies);
    for (const { step: { entry, pathIndex, content } } of taken) {
      const own = { pathIndex, damaged: 0, blockCrcs: null };
      index.rows.add(rowOf(entry, own), stored);
      if (content.kind === "whole") reader.wrote(entry.id);
    }
    stored.then(
      () => {
        quick.stored(taken.length);
        taken.forEach((one) => early.stored(one));
      },
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
