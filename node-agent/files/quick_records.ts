/**
 * New small files whose answer needs no flush: in the quick log at once, in the
 * database a moment later. Until then their rows are in memory alone, and whoever
 * reads the database first waits for {@linkcode QuickRecords.settled}.
 *
 * @module
 */

import { rowOf } from "@kedge/schema/db";
import type { LogRecordWithContent } from "../ports.ts";
import type { StoredFiles, StoreParts } from "./local_files.ts";
import type { Prepared } from "./preparer.ts";
import type { Op } from "./worker_messages.ts";

/** For the change log. */
export class QuickRecords {
  readonly #parts: StoreParts;
  readonly #files: Pick<StoredFiles, "isNew">;
  readonly #incarnation: number;

  /** Store records of one run of our log. */
  constructor(
    parts: StoreParts,
    files: Pick<StoredFiles, "isNew">,
    incarnation: number,
  ) {
    this.#parts = parts;
    this.#files = files;
    this.#incarnation = incarnation;
  }

  /**
   * Store a record, if it is one of these.
   *
   * @param prepared The record as the worker gets it.
   * @param how Whether it must be flushed; a key that must be remembered.
   * @returns Whether it is stored now.
   */
  put(
    { sequence, change }: LogRecordWithContent,
    { step, body }: Prepared,
    how: { readonly durable: boolean; readonly key: unknown },
  ): boolean {
    const { entry, key } = change;
    const { pump, index, quick } = this.#parts;
    if (how.durable || how.key !== undefined || key !== undefined) return false;
    if (body === undefined || change.body.kind !== "whole") return false;
    if (pump.failure !== undefined || !this.#files.isNew(entry.id)) {
      return false;
    }
    const { pathIndex } = step;
    const record = JSON.stringify(change);
    const where = { incarnation: this.#incarnation, sequence, pathIndex };
    if (!quick.put({ ...where, record, body })) return false;
    const stored = pump.storeLater((at): Op => {
      const content = { kind: "inline", at, length: body.length } as const;
      const placed = { ...step, content };
      return { kind: "append", sequence, record, step: placed, key };
    }, body);
    const own = { pathIndex, damaged: 0, blockCrcs: null };
    index.rows.add(rowOf(entry, own), stored);
    stored.then(() => quick.stored(), () => {});
    return true;
  }

  /** Another record is in the database. */
  reach(sequence: number): void {
    this.#parts.quick.reach(sequence);
  }

  /** Resolves when the database has every record that is stored now. */
  async settled(): Promise<void> {
    const { pump, quick } = this.#parts;
    if (!quick.isWaiting || pump.failure !== undefined) return;
    await pump.store(() => ({ kind: "flush" }), [], false);
  }
}
