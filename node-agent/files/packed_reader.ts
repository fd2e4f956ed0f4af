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
import { type Place, readRecord, readRecordAside } from "./segments.ts";
import type { SlowDisks } from "./slow_disks.ts";
import type { ReadStatements } from "./statements.ts";

/** Moves of one file during one read, at most. */
const MOVES_MAX = 8;

/** All bytes of a file, or why they are not right. */
type Found = Uint8Array<ArrayBuffer> | string | undefined;

/** What became of a read at a place. */
interface Outcome {
  readonly body?: Uint8Array<ArrayBuffer> | string;
  readonly error?: unknown;
}

/** What a reader works with. */
export interface PackedReaderParts {
  readonly layout: Layout;
  readonly statements: ReadStatements;
  readonly segments: Pick<SegmentReads, "placeOf">;
  /** Says where nothing is read in the event loop. */
  readonly disks: SlowDisks;
}

/** For the main isolate. */
export class PackedReader {
  /** Whether any file may be packed: otherwise nothing is looked for. */
  isOn: boolean;
  readonly #layout: Layout;
  readonly #statements: ReadStatements;
  readonly #segments: Pick<SegmentReads, "placeOf">;
  readonly #disks: SlowDisks;

  /** Read with these. */
  constructor(parts: PackedReaderParts, isOn: boolean) {
    this.isOn = isOn;
    this.#layout = parts.layout;
    this.#statements = parts.statements;
    this.#segments = parts.segments;
    this.#disks = parts.disks;
  }

  /** As {@linkcode readNow}, where its disk is slow beside the event loop. */
  read(row: FileRow): Found | Promise<Found> {
    const { pathIndex } = row;
    if (this.#disks.isSuspect(pathIndex)) {
      return this.#disks.read(pathIndex, () => this.readAside(row));
    }
    const beganMs = this.#disks.nowMs();
    const found = this.readNow(row);
    this.#disks.readHere(pathIndex, beganMs);
    return found;
  }

  /**
   * All bytes of a file, checked.
   *
   * @returns `undefined` when it has a file of its own, or why its bytes are
   * not right.
   * @throws What the system says, when it says nothing about the content.
   */
  readNow(row: FileRow): Found {
    const search = this.#search(row);
    for (let next = search.next();;) {
      if (next.done) return next.value;
      const { path, place } = next.value;
      next = search.next(outcomeOf(() => readRecord(path, place, row)));
    }
  }

  /** As {@linkcode readNow}, beside the event loop. */
  async readAside(row: FileRow): Promise<Found> {
    const search = this.#search(row);
    for (let next = search.next();;) {
      if (next.done) return next.value;
      const { path, place } = next.value;
      next = search.next(
        await readRecordAside(path, place, row)
          .then((body) => ({ body }), (error: unknown) => ({ error })),
      );
    }
  }

  /** Asks for one place after the other, until something is found. */
  *#search(
    row: FileRow,
  ): Generator<{ path: string; place: Place }, Found, Outcome> {
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
      const path = this.#layout.segment(pathIndex, segment);
      const { body, error } = yield { path, place };
      if (body !== undefined) return body;
      if (!isContentFault(error)) throw error;
      const hasMoved = before?.segment !== segment || before.offset !== offset;
      if (!isMissing(error) || !hasMoved) return describeError(error);
      before = place;
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

function outcomeOf(read: () => Uint8Array<ArrayBuffer> | string): Outcome {
  try {
    return { body: read() };
  } catch (error) {
    return { error };
  }
}
