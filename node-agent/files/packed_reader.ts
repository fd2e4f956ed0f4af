/**
 * Reads small files that have no file of their own.
 *
 * Their bytes are in the database until they settle, then in a segment, and a
 * compaction may move them at any moment. Most are in segments, so that is where
 * they are looked for first; then in the database, then again, and once more
 * when a segment is gone.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { INLINE_BODY_BYTES_MAX } from "@kedge/schema";
import type { FileRow } from "@kedge/schema/db";
import { describeError, isContentFault, isMissing } from "./disk.ts";
import type { Layout } from "./layout.ts";
import type { SegmentReads } from "./segment_statements.ts";
import { type Place, readRecord } from "./segments.ts";
import type { ReadStatements } from "./statements.ts";

/** Moves of one file during one read, at most. */
const MOVES_MAX = 8;

/** For the main isolate. */
export class PackedReader {
  /** Whether any file may be packed: otherwise nothing is looked for. */
  isOn: boolean;
  readonly #layout: Layout;
  readonly #statements: ReadStatements;
  readonly #segments: SegmentReads;

  /** Read with these. */
  constructor(
    layout: Layout,
    statements: ReadStatements,
    segments: SegmentReads,
    isOn: boolean,
  ) {
    this.isOn = isOn;
    this.#layout = layout;
    this.#statements = statements;
    this.#segments = segments;
  }

  /**
   * All bytes of a file, checked.
   *
   * @returns `undefined` when it has a file of its own, or why its bytes are
   * not right.
   * @throws What the system says, when it says nothing about the content.
   */
  read(row: FileRow): Uint8Array<ArrayBuffer> | string | undefined {
    const { id, sizeBytes, appender } = row;
    if (!this.isOn) return undefined;
    if (appender === 1 || sizeBytes === 0) return undefined;
    if (sizeBytes > INLINE_BODY_BYTES_MAX) return undefined;
    let before: Place | undefined;
    for (let move = 0; move < MOVES_MAX; move++) {
      let place = this.#segments.placeOf.get({ id });
      if (place === undefined) {
        const waiting = this.#waiting(row);
        if (waiting !== undefined) return waiting;
        // It may have been packed between the two looks.
        place = this.#segments.placeOf.get({ id });
        if (place === undefined) return undefined;
      }
      const { pathIndex, segment, offset } = place;
      try {
        const path = this.#layout.segment(pathIndex, segment);
        return readRecord(path, place, row);
      } catch (error) {
        if (!isContentFault(error)) throw error;
        const hasMoved = before?.segment !== segment ||
          before.offset !== offset;
        if (!isMissing(error) || !hasMoved) return describeError(error);
        before = place;
      }
    }
    return "it moved too often while it was read";
  }

  #waiting(row: FileRow): Uint8Array<ArrayBuffer> | undefined {
    const last = this.#statements.unsettledOf.all({ id: row.id })
      .findLast(({ kind }) => kind !== "unlink");
    const payload = last?.kind === "write" ? last.payload : null;
    if (payload?.length !== row.sizeBytes) return undefined;
    return crc32(payload) === row.crc32 ? new Uint8Array(payload) : undefined;
  }
}
