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
import { encodeRecord, segmentToCompact } from "@kedge/schema/disk/segment";
import {
  describeError,
  flushSync,
  isContentFault,
  removeSync,
} from "./disk.ts";
import { folderOf } from "./layout.ts";
import { type Packer, type PackerParts, PutOff } from "./packer.ts";
import { readRecord } from "./segments.ts";

/** Records copied together. */
const COPY_COUNT = 256;

/** Compacts the segments of one store. One call at a time, and no packing. */
export class Compactor {
  readonly #parts: PackerParts;
  readonly #packer: Packer;
  /** Segments that hold damaged records, and how much of them was needed. */
  readonly #kept = new Map<string, number>();

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
    const rows = statements.segmentsOn.all({ pathIndex });
    const isKept = (segment: number) => {
      const liveBytes = this.#kept.get(`${pathIndex}:${segment}`);
      return rows.some((row) =>
        row.segment === segment && row.liveBytes === liveBytes
      );
    };
    return segmentToCompact(
      rows,
      (segment) => segments.isCurrent(pathIndex, segment) || isKept(segment),
    );
  }

  async #compact({ pathIndex, segment }: SegmentRow): Promise<boolean> {
    const { statements } = this.#packer;
    const from = { pathIndex, segment, limit: COPY_COUNT };
    for (let offset = -1;;) {
      const rows = statements.placesIn.all({ ...from, offset });
      const last = rows.at(-1);
      if (last === undefined) break;
      offset = last.offset;
      if (!await this.#copy(rows)) return false;
    }
    // What is still named could not be copied.
    if (statements.placesIn.all({ ...from, offset: -1 }).length > 0) {
      const row = statements.segmentsOn.all({ pathIndex })
        .find((one) => one.segment === segment);
      this.#kept.set(`${pathIndex}:${segment}`, row?.liveBytes ?? 0);
      return true;
    }
    this.#parts.transact(() => {}, true);
    const path = this.#parts.layout.segment(pathIndex, segment);
    removeSync(path);
    flushSync(folderOf(path));
    const { dropSegment } = statements;
    this.#parts.transact(() => dropSegment.run({ pathIndex, segment }), false);
    return true;
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
      return place === undefined ? [] : [{ row, place }];
    });
    const isStill = ({ row }: { row: PackedRow }) => {
      const now = statements.placeOf.get({ id: row.id });
      return now?.pathIndex === row.pathIndex &&
        now.segment === row.segment && now.offset === row.offset;
    };
    this.#packer.buryCopies(
      moves.filter((move) => !isStill(move))
        .map(({ row, place }) => ({ ...place, id: row.id })),
    );
    transact(() => {
      appended.store();
      for (const move of moves.filter(isStill)) {
        statements.movePlace.run({ ...move.place, id: move.row.id });
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
