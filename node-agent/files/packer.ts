/**
 * Puts small files into segments when they settle: `small_file_max`.
 *
 * Until then their bytes are in the database, where the upload left them. A
 * batch of them is written with one flush; its places and the end of its copies
 * in the database are one transaction, so a crash leaves the one or the other.
 *
 * ```text
 * upload ─▶ bytes in the database ─▶ segment, flushed ─▶ place stored, copy
 *                                                        dropped
 * delete ─▶ tombstone, place dropped ─▶ record marked dead (for rebuild-index)
 * ```
 *
 * @module
 */

import { crc32 } from "node:zlib";
import type { DatabaseSync } from "node:sqlite";
import type { FileRow, PackedRow } from "@kedge/schema/db";
import { encodeRecord } from "@kedge/schema/disk/segment";
import { parseJournalToken } from "./body_journal_core.ts";
import { describeError, exists, flushSync, isFull, isMissing } from "./disk.ts";
import type { Pending } from "./file_actions.ts";
import { type Layout, mustParse } from "./layout.ts";
import type { NewAction } from "./merge_core.ts";
import { type Place, Segments } from "./segments.ts";
import type { SegmentStatements } from "./segment_statements.ts";
import type { WriteStatements } from "./statements.ts";

/** First part of the token of a delete whose file lies in a segment. */
const TOKEN_PREFIX = "segment-";

/** What a packer works with, and what it tells. */
export interface PackerParts {
  readonly database: DatabaseSync;
  readonly statements: WriteStatements;
  readonly layout: Layout;
  /**
   * One transaction; it is flushed when `durable`.
   *
   * @throws {PutOff} When nothing was stored.
   */
  transact(act: () => void, durable: boolean): void;
  /** A write or flush failed: the path takes no more bytes. */
  fence(pathIndex: number, reason: string): void;
  mayWrite(pathIndex: number): boolean;
  /** Whether the database is closed: nothing may be asked of it. */
  isOver(): boolean;
  warn(message: string, facts: Record<string, unknown>): void;
}

/** How to pack. */
export interface PackerOptions {
  /** Length from which the next segment is begun. */
  readonly segmentBytes: number;
}

/** A file to pack, and its bytes. */
interface Packable {
  readonly action: Pending;
  readonly record: Uint8Array;
}

/** It cannot be done now, and no disk is to blame. */
export class PutOff extends Error {}

/** Packs the small files of one store. One call at a time. */
export class Packer {
  readonly #parts: PackerParts;
  /** Largest file that is packed, in bytes; 0 packs none. */
  sizeBytesMax = 0;
  /** Where bytes lie. */
  readonly statements: SegmentStatements;
  /** The files they lie in. */
  readonly segments: Segments;

  /** Work on one database and its store paths. */
  constructor(
    parts: PackerParts,
    statements: SegmentStatements,
    options: PackerOptions,
  ) {
    this.#parts = parts;
    this.statements = statements;
    this.segments = new Segments({
      layout: parts.layout,
      statements,
      transact: parts.transact,
      warn: parts.warn,
      segmentBytes: options.segmentBytes,
      isElsewhere: (id) => this.#isElsewhere(id),
    });
  }

  #isElsewhere(id: string): boolean {
    const { statements, layout } = this.#parts;
    const row = statements.file.get({ id });
    if (row === undefined || row.tombstone === 1) return row !== undefined;
    const place = this.statements.placeOf.get({ id });
    if (place !== undefined) return this.segments.hasRecord(place, id);
    return exists(layout.file(id, row.pathIndex)) ||
      statements.unsettledOf.all({ id }).some(({ payload, token }) =>
        payload !== null || parseJournalToken(token) !== undefined
      );
  }

  /** Whether a file of so many bytes is packed. */
  wants(id: string, sizeBytes: number): boolean {
    if (sizeBytes === 0 || sizeBytes > this.sizeBytesMax) return false;
    // An appender is changed where it lies.
    return mustParse(id).kind !== "appender" &&
      this.#parts.statements.file.get({ id })?.appender === 0;
  }

  /**
   * A file gets other bytes, or none: its place is forgotten. Inside of a
   * transaction.
   *
   * @returns Where it was.
   */
  drop(id: string): PackedRow | undefined {
    const place = this.statements.placeOf.get({ id });
    if (place !== undefined) this.statements.dropPlace.run({ id });
    return place;
  }

  /** The files of a path are gone. Inside of a transaction. */
  emptied(pathIndex: number): void {
    this.segments.distrust(pathIndex);
    this.statements.dropPlacesOn.run({ pathIndex });
    this.statements.dropSegmentsOn.run({ pathIndex });
  }

  /** Mark the record of a deleted file; may be done again. */
  bury({ id, pathIndex, token, offset }: Pending): void {
    const segment = segmentOf(token);
    if (segment === undefined) return;
    this.segments.bury({ pathIndex, segment, offset }, id);
  }

  /**
   * Pack what settles.
   *
   * @returns The actions that may be forgotten.
   */
  async pack(actions: readonly Pending[]): Promise<Pending[]> {
    const done: Pending[] = [];
    for (const [path, list] of Map.groupBy(actions, (one) => one.pathIndex)) {
      if (this.#parts.isOver() || !this.#parts.mayWrite(path)) continue;
      const files = list.flatMap((action) => this.#packable(action) ?? []);
      if (files.length > 0 && !await this.#packOn(path, files)) continue;
      done.push(...list);
    }
    return done;
  }

  /** `undefined` when the bytes are no longer those of the file. */
  #packable(action: Pending): Packable | undefined {
    const { statements } = this.#parts;
    const { id } = action;
    const row = statements.file.get({ id });
    if (!isAt(row, action.pathIndex)) return undefined;
    const last = statements.unsettledOf.all({ id })
      .findLast(({ kind }) => kind !== "unlink");
    const payload = last?.number === action.number ? last.payload : null;
    if (payload === null || payload.length !== row.sizeBytes) return undefined;
    if (crc32(payload) !== row.crc32) return undefined;
    return { action, record: encodeRecord(row, payload) };
  }

  /** Whether the files are stored. */
  async #packOn(
    pathIndex: number,
    files: readonly Packable[],
  ): Promise<boolean> {
    try {
      const appended = await this.segments
        .append(pathIndex, files.map(({ record }) => record));
      if (this.#parts.isOver() || !this.#parts.mayWrite(pathIndex)) {
        return false;
      }
      if (!appended.isValid()) return false;
      // Deleted or changed while it was flushed.
      const placed = files.flatMap(({ action }, at) => {
        const place = appended.places[at];
        return place === undefined ? [] : [{ action, place }];
      });
      const { stay: kept = [], gone = [] } = Object.groupBy(
        placed,
        ({ action }) => this.#packable(action) === undefined ? "gone" : "stay",
      );
      this.buryCopies(
        gone.map(({ action, place }) => ({ ...place, id: action.id })),
      );
      this.#parts.transact(() => {
        appended.store();
        for (const { action, place } of kept) {
          this.statements.putPlace.run({ id: action.id, ...place });
        }
        for (const { number } of files.map(({ action }) => action)) {
          this.#parts.statements.dropUnsettled.run({
            from: number,
            to: number,
          });
        }
      }, false);
      appended.stored();
      return true;
    } catch (error) {
      this.failed(pathIndex, error);
      return false;
    }
  }

  /** Records of files that went while their copies were written. */
  buryCopies(copies: readonly (Place & { readonly id: string })[]): void {
    const [first] = copies;
    if (first === undefined) return;
    for (const copy of copies) this.segments.bury(copy, copy.id);
    flushSync(this.#parts.layout.segment(first.pathIndex, first.segment));
  }

  /** Cut off what was never stored, after a start and when a path is mended. */
  tidy(pathIndex: number): void {
    if (!this.#parts.mayWrite(pathIndex)) return;
    try {
      this.segments.tidy(pathIndex);
    } catch (error) {
      this.failed(pathIndex, error);
    }
  }

  /** Whatever failed, nothing more is written behind it. */
  failed(pathIndex: number, error: unknown): void {
    // The bytes stay where they are.
    if (isFull(error) || error instanceof PutOff) {
      // A commit that failed may have been stored: then places name the records.
      if (!this.#parts.isOver()) this.segments.takeBack(pathIndex);
      return;
    }
    this.segments.distrust(pathIndex);
    const isMounted = exists(this.#parts.layout.marker(pathIndex));
    if (isMissing(error) && isMounted) return; // a segment is gone, not a disk
    this.#parts.fence(pathIndex, `segment: ${describeError(error)}`);
  }
}

/**
 * A file that gets other bytes, or none, is in its segment no more. Inside of a
 * transaction.
 *
 * @returns The actions; one of them says which record is dead.
 */
export function leaveSegment(
  packer: Pick<Packer, "drop"> | undefined,
  id: string,
  actions: readonly NewAction[],
): readonly NewAction[] {
  if (packer === undefined || actions.length === 0) return actions;
  const place = packer.drop(id);
  if (place === undefined) return actions;
  const { pathIndex, segment, offset } = place;
  const burial = { token: `${TOKEN_PREFIX}${segment}`, offset };
  const isUnlink = (one: NewAction) =>
    one.kind === "unlink" && one.pathIndex === pathIndex;
  if (actions.some(isUnlink)) {
    return actions.map((one) => isUnlink(one) ? { ...one, ...burial } : one);
  }
  const unlink = { kind: "unlink", pathIndex, payload: null } as const;
  return [{ ...unlink, ...burial, replaces: false }, ...actions];
}

/** The segment that a token names. */
export function segmentOf(token: string): number | undefined {
  if (!token.startsWith(TOKEN_PREFIX)) return undefined;
  return Number(token.slice(TOKEN_PREFIX.length));
}

function isAt(row: FileRow | undefined, pathIndex: number): row is FileRow {
  return row !== undefined && row.tombstone === 0 &&
    row.pathIndex === pathIndex;
}
