/**
 * Gives the space of deleted small files back.
 *
 * ```text
 * records that are needed ─▶ copied to the present segment, flushed
 *   ─▶ their places moved, one transaction ─▶ … ─▶ all of it flushed
 *   ─▶ old segment removed, its folder flushed ─▶ segment forgotten
 * ```
 *
 * At every moment a place names a whole, flushed record. A record that is
 * damaged is not copied: it keeps its segment until it was repaired.
 *
 * @module
 */

import type { PackedRow, SegmentRow } from "@kedge/schema/db";
import { encodeRecord } from "@kedge/schema/disk/segment";
import {
  describeError,
  exists,
  flushSync,
  isContentFault,
  removeSync,
} from "./disk.ts";
import { folderOf } from "./layout.ts";
import { type Packer, type PackerParts, PutOff } from "./packer.ts";
import { readRecord, scanSegment } from "./segments.ts";
import {
  type CompactionStep,
  FIRST_STEP,
  KeptSegments,
  partMoves,
  stepAfter,
} from "./segments_core.ts";

/** Records copied together. */
const COPY_COUNT = 256;

/** Compacts the segments of one store. One call at a time, and no packing. */
export class Compactor {
  readonly #parts: PackerParts;
  readonly #packer: Packer;
  /** By store path. */
  readonly #kept: KeptSegments[] = [];

  /** Work for a packer. */
  constructor(parts: PackerParts, packer: Packer) {
    this.#parts = parts;
    this.#packer = packer;
  }

  /**
   * Compact one segment, if one is worth it.
   *
   * @param pathCount Store paths.
   * @returns Whether there may be another one.
   */
  async step(pathCount: number): Promise<boolean> {
    for (let pathIndex = 0; pathIndex < pathCount; pathIndex++) {
      if (this.#parts.isOver()) return false;
      if (!this.#parts.mayWrite(pathIndex)) continue;
      const found = this.#choose(pathIndex);
      if (found === undefined) continue;
      try {
        return await this.#compact(found);
      } catch (error) {
        this.#packer.failed(pathIndex, error);
      }
    }
    return false;
  }

  #choose(pathIndex: number): SegmentRow | undefined {
    const { statements, segments } = this.#packer;
    return this.#keptOn(pathIndex).choose(
      statements.segmentsOn.all({ pathIndex }),
      (segment) => segments.isCurrent(pathIndex, segment),
    );
  }

  #keptOn(pathIndex: number): KeptSegments {
    return this.#kept[pathIndex] ??= new KeptSegments();
  }

  /** Returns whether it was done to its end. */
  async #compact(row: SegmentRow): Promise<boolean> {
    const { pathIndex, segment } = row;
    const { statements, segments } = this.#packer;
    if (segments.hasLost(row)) {
      this.#keptOn(pathIndex).hold(segment);
      return true;
    }
    const from = { pathIndex, segment };
    for (let step = FIRST_STEP; step.kind !== "end";) {
      let last: number | undefined;
      if (step.kind === "copy") {
        const rows = statements.placesIn
          .all({ ...from, offset: step.behind, limit: COPY_COUNT });
        last = rows.at(-1)?.offset;
        if (!await this.#copy(rows)) return false;
      } else this.#finish(step.kind, from);
      const isNamed = statements.placesIn
        .all({ ...from, offset: -1, limit: 1 }).length > 0;
      step = stepAfter(step, { last, isNamed });
      if (step.kind === "end" && step.isKept) this.#keep(from);
    }
    return true;
  }

  #finish(
    kind: Exclude<CompactionStep["kind"], "copy" | "end">,
    { pathIndex, segment }: Pick<SegmentRow, "pathIndex" | "segment">,
  ): void {
    const { transact, layout } = this.#parts;
    if (kind === "flush") return transact(() => {}, true);
    const { dropSegment } = this.#packer.statements;
    if (kind === "forget") {
      return transact(() => dropSegment.run({ pathIndex, segment }), false);
    }
    const path = layout.segment(pathIndex, segment);
    if (kind === "mark") return this.#mark(path, { pathIndex, segment });
    removeSync(path);
    flushSync(folderOf(path));
  }

  /** The segment stays; what was moved out of it is dead there. */
  #mark(
    path: string,
    at: Pick<SegmentRow, "pathIndex" | "segment">,
  ): void {
    const { statements: { file }, transact } = this.#parts;
    const { segments, statements: { placeOf } } = this.#packer;
    if (!exists(path)) return; // all that it held is damaged
    transact(() => {}, true);
    for (const { id, offset, isLive } of scanSegment(path)) {
      const from = { ...at, offset };
      const isNamed = partMoves([{ from }], () => placeOf.get({ id }))
        .stay.length > 0;
      if (!isLive || isNamed || file.get({ id }) === undefined) continue;
      segments.bury(from, id);
    }
    flushSync(path);
  }

  #keep({ pathIndex, segment }: Pick<SegmentRow, "pathIndex" | "segment">) {
    const row = this.#packer.statements.segmentsOn.all({ pathIndex })
      .find((one) => one.segment === segment);
    if (row !== undefined) this.#keptOn(pathIndex).keep(row);
  }

  /** Whether to go on. */
  async #copy(rows: readonly PackedRow[]): Promise<boolean> {
    const [first] = rows;
    if (first === undefined) return true;
    const { pathIndex } = first;
    const good = rows.flatMap((row) => {
      const record = this.#read(row);
      return record === undefined ? [] : [{ row, record }];
    });
    if (good.length === 0) return true;
    const { statements, segments } = this.#packer;
    const appended = await segments
      .append(pathIndex, good.map(({ record }) => record));
    const { isOver, mayWrite, transact } = this.#parts;
    if (isOver() || !mayWrite(pathIndex) || !appended.isValid()) return false;
    const moves = good.flatMap(({ row }, at) => {
      const place = appended.places[at];
      return place === undefined ? [] : [{ from: row, place }];
    });
    const { stay, gone } = partMoves(
      moves,
      ({ from: { id } }) => statements.placeOf.get({ id }),
    );
    this.#packer.buryCopies(
      gone.map(({ from: { id }, place }) => ({ ...place, id })),
    );
    transact(() => {
      appended.store();
      for (const { from: { id }, place } of stay) {
        statements.movePlace.run({ ...place, id });
      }
    }, false);
    appended.stored();
    return true;
  }

  /** The record anew; `undefined` when it is damaged. */
  #read({ id, pathIndex, segment, ...place }: PackedRow) {
    const row = this.#parts.statements.file.get({ id });
    if (row === undefined) return undefined;
    const path = this.#parts.layout.segment(pathIndex, segment);
    let body: Uint8Array | string;
    try {
      body = readRecord(path, place, row);
    } catch (error) {
      if (!isContentFault(error)) throw new PutOff(describeError(error));
      body = describeError(error);
    }
    if (typeof body !== "string") return encodeRecord(row, body);
    this.#parts.statements.markFile.run({ ...row, damaged: 1 });
    this.#parts.warn("a packed file is damaged", { id, why: body });
    return undefined;
  }
}
