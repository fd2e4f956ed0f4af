/**
 * The segment files of the store paths: where records go, and how they are read.
 *
 * A segment is known to the database, durably, before its file is made; what
 * lies beyond its length in the database was never stored.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import type { FileRow, PackedRow, SegmentRow } from "@kedge/schema/db";
import {
  DEAD,
  decodeRecord,
  RECORD_STATE_AT,
} from "@kedge/schema/disk/segment";
import {
  exists,
  flushSync,
  isMissing,
  makeDurableDir,
  readFull,
  readFullSync,
  sizeOf,
  writeAllSync,
} from "./disk.ts";
import { folderOf, type Layout } from "./layout.ts";
import type { SegmentStatements } from "./segment_statements.ts";
import { endOf, mayCut, mayResume } from "./segments_core.ts";

/** Where a record lies. */
export type Place = Omit<PackedRow, "id">;

/** Records that were written and flushed, and are not stored yet. */
export interface Appended {
  /** One per record, in order. */
  readonly places: readonly Place[];
  /** Whether the segment still counts: its path was not given up meanwhile. */
  isValid(): boolean;
  /** Note the new length; inside the transaction that stores the places. */
  store(): void;
  /** The transaction is committed. */
  stored(): void;
}

/** What segments are made with. */
export interface SegmentsParts {
  readonly layout: Layout;
  readonly statements: SegmentStatements;
  /** One transaction; it is flushed when `durable`. */
  transact(act: () => void, durable: boolean): void;
  /** Whether a file is deleted, or its bytes are where the index says. */
  isElsewhere(id: string): boolean;
  warn(message: string, facts: Record<string, unknown>): void;
  /** Length from which the next segment is begun. */
  readonly segmentBytes: number;
}

interface Current {
  readonly pathIndex: number;
  readonly segment: number;
  sizeBytes: number;
}

/** Segments of all store paths. One append at a time. */
export class Segments {
  readonly #parts: SegmentsParts;
  readonly #current = new Map<number, Current>();
  /** Paths on which something failed: nothing is put behind that. */
  readonly #distrusted = new Set<number>();

  /** Nothing is read or written yet. */
  constructor(parts: SegmentsParts) {
    this.#parts = parts;
  }

  /** Whether a segment is, or may become, the one that is written to. */
  isCurrent(pathIndex: number, segment: number): boolean {
    const current = this.#current.get(pathIndex)?.segment ??
      this.#parts.statements.segmentsOn.all({ pathIndex }).at(-1)?.segment;
    return current === segment;
  }

  /** Never again write to the segment that is written to now. */
  distrust(pathIndex: number): void {
    this.#current.delete(pathIndex);
    this.#distrusted.add(pathIndex);
  }

  /**
   * Write records and flush them.
   *
   * @throws What the system says.
   */
  async append(
    pathIndex: number,
    records: readonly Uint8Array[],
  ): Promise<Appended> {
    const current = this.#open(pathIndex);
    const { segment } = current;
    let end = current.sizeBytes;
    const places = records.map(({ length: lengthBytes }): Place => {
      const offset = end;
      end += lengthBytes;
      return { pathIndex, segment, offset, lengthBytes };
    });
    const path = this.#parts.layout.segment(pathIndex, segment);
    const file = Deno.openSync(path, { write: true });
    try {
      file.seekSync(current.sizeBytes, Deno.SeekMode.Start);
      writeAllSync(file, join(records, end - current.sizeBytes));
      if (file.statSync().size > end) file.truncateSync(end);
      await file.syncData();
    } finally {
      file.close();
    }
    const sizeBytes = end;
    const { putSegment } = this.#parts.statements;
    return {
      places,
      isValid: () => this.#current.get(pathIndex) === current,
      store: () => putSegment.run({ pathIndex, segment, sizeBytes }),
      stored: () => current.sizeBytes = sizeBytes,
    };
  }

  #open(pathIndex: number): Current {
    const known = this.#current.get(pathIndex);
    const { segmentBytes } = this.#parts;
    if (known !== undefined && known.sizeBytes < segmentBytes) return known;
    const mayResume = known === undefined && !this.#distrusted.has(pathIndex);
    const resumed = mayResume ? this.#resume(pathIndex) : undefined;
    const current = resumed ?? this.#create(pathIndex);
    this.#current.set(pathIndex, current);
    this.#distrusted.delete(pathIndex);
    return current;
  }

  /** The last segment, without what was never stored. */
  #resume(pathIndex: number): Current | undefined {
    const { statements, segmentBytes } = this.#parts;
    const row = statements.segmentsOn.all({ pathIndex }).at(-1);
    if (row === undefined || !mayResume(row, this.#tidy(row), segmentBytes)) {
      return undefined;
    }
    const { segment, sizeBytes } = row;
    return { pathIndex, segment, sizeBytes };
  }

  /**
   * Cut off what was never stored: it would come back with a rebuilt index.
   *
   * @throws What the system says.
   */
  tidy(pathIndex: number): void {
    const { segmentsOn } = this.#parts.statements;
    for (const row of segmentsOn.all({ pathIndex })) this.#tidy(row);
  }

  /** Whether a segment holds records that only `rebuild-index` finds. */
  hasLost(row: Omit<SegmentRow, "liveBytes">): boolean {
    return this.#tidy(row) === "leftover";
  }

  /** Returns what is behind its end now. */
  #tidy(row: Omit<SegmentRow, "liveBytes">): ReturnType<typeof endOf> {
    const { layout, isElsewhere, warn } = this.#parts;
    const path = layout.segment(row.pathIndex, row.segment);
    const end = endOf(row, sizeOf(path));
    if (end !== "leftover") return end;
    const ids = scanSegment(path, row.sizeBytes).map(({ id }) => id);
    if (!mayCut(ids, isElsewhere)) {
      warn("a segment holds files that the index lost", { path });
      return end;
    }
    Deno.truncateSync(path, row.sizeBytes);
    flushSync(path);
    return "whole";
  }

  /** Whether a record of a file begins at its place. */
  hasRecord({ pathIndex, segment, offset }: Place, id: string): boolean {
    try {
      const file = Deno.openSync(
        this.#parts.layout.segment(pathIndex, segment),
      );
      try {
        return decodeRecord(readAt(file, offset, HEAD_BYTES))?.id === id;
      } finally {
        file.close();
      }
    } catch (error) {
      if (!isMissing(error)) throw error;
      return false;
    }
  }

  /** An append failed, or was not stored: take it back if that can be done. */
  takeBack(pathIndex: number): void {
    const current = this.#current.get(pathIndex);
    if (current === undefined) return;
    try {
      this.#tidy(current);
    } catch {
      // The next append lies over it, or the next start cuts it off.
    }
  }

  #create(pathIndex: number): Current {
    const { layout, statements, transact } = this.#parts;
    if (!exists(layout.marker(pathIndex))) {
      throw new Error("its marker file is gone: is the disk mounted?");
    }
    const last = statements.segmentsOn.all({ pathIndex }).at(-1)?.segment ?? 0;
    let segment = last + 1;
    while (exists(layout.segment(pathIndex, segment))) segment++;
    const path = layout.segment(pathIndex, segment);
    const folder = folderOf(path);
    if (!exists(folder)) makeDurableDir(folder);
    const row = { pathIndex, segment, sizeBytes: 0 };
    transact(() => statements.putSegment.run(row), true);
    Deno.writeFileSync(path, new Uint8Array(0), { createNew: true });
    flushSync(folder);
    return row;
  }

  /**
   * Say in a record that its file is gone, for an index that is rebuilt. May be
   * done again.
   */
  bury(place: Omit<Place, "lengthBytes">, id: string): void {
    const { pathIndex, segment, offset } = place;
    try {
      const file = Deno.openSync(
        this.#parts.layout.segment(pathIndex, segment),
        { read: true, write: true },
      );
      try {
        file.seekSync(offset, Deno.SeekMode.Start);
        const head = new Uint8Array(HEAD_BYTES);
        const found = decodeRecord(head.subarray(0, readFullSync(file, head)));
        if (found?.id !== id) return; // copied elsewhere, or damaged
        file.seekSync(offset + RECORD_STATE_AT, Deno.SeekMode.Start);
        writeAllSync(file, new Uint8Array([DEAD]));
      } finally {
        file.close();
      }
    } catch (error) {
      if (!isMissing(error)) throw error; // compacted
    }
  }
}

/** Longer than any header with its ID. */
const HEAD_BYTES = 2048;
/** Bytes of a segment looked through at a time. */
const SCAN_BYTES = 1 << 20;

function join(parts: readonly Uint8Array[], sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  let end = 0;
  for (const part of parts) {
    bytes.set(part, end);
    end += part.length;
  }
  return bytes;
}

/** A record as it lies in a segment. */
export interface ScannedRecord {
  readonly id: string;
  readonly offset: number;
  readonly lengthBytes: number;
  readonly isLive: boolean;
  /** Length and checksum that the body must have. */
  readonly sizeBytes: number;
  readonly crc32: number;
  readonly body: Uint8Array<ArrayBuffer>;
  /** Whether the body has its checksum. */
  readonly isRight: boolean;
}

/** Every record from `from` on whose header is whole. */
export function* scanSegment(
  path: string,
  from = 0,
): Generator<ScannedRecord> {
  const file = Deno.openSync(path);
  try {
    for (let offset = from;;) {
      const bytes = readAt(file, offset, SCAN_BYTES);
      if (bytes.length === 0) return;
      const before = offset;
      for (let at = 0; at < bytes.length;) {
        const head = decodeRecord(bytes.subarray(at));
        if (head === undefined) {
          // A header that is cut by the end of what was read is met again.
          if (bytes.length - at < HEAD_BYTES && at > 0) break;
          at += 8;
        } else if (at + head.lengthBytes > bytes.length && at > 0) break;
        else {
          const { id, isLive, lengthBytes, bodyAt, sizeBytes } = head;
          const end = at + bodyAt + sizeBytes;
          const body = bytes.slice(at + bodyAt, end);
          const isRight = body.length === sizeBytes &&
            crc32(body) === head.crc32;
          yield {
            ...{ id, offset: before + at, lengthBytes, isLive },
            ...{ sizeBytes, crc32: head.crc32, body, isRight },
          };
          at += lengthBytes;
        }
        offset = before + at;
      }
      if (offset === before) return;
    }
  } finally {
    file.close();
  }
}

/**
 * Read the body of a file out of its segment.
 *
 * @returns Its bytes, or why they are not right.
 * @throws What the system says.
 */
export function readRecord(
  path: string,
  place: RecordPlace,
  row: RecordFacts,
): Uint8Array<ArrayBuffer> | string {
  const file = Deno.openSync(path);
  try {
    return bodyOf(readAt(file, place.offset, place.lengthBytes), row);
  } finally {
    file.close();
  }
}

/**
 * As {@linkcode readRecord}, beside the event loop. Segments are few, so opening
 * one mostly needs no disk.
 */
export async function readRecordAside(
  path: string,
  place: RecordPlace,
  row: RecordFacts,
): Promise<Uint8Array<ArrayBuffer> | string> {
  const file = Deno.openSync(path);
  try {
    file.seekSync(place.offset, Deno.SeekMode.Start);
    const bytes = new Uint8Array(place.lengthBytes);
    return bodyOf(bytes.subarray(0, await readFull(file, bytes)), row);
  } finally {
    file.close();
  }
}

type RecordPlace = Pick<Place, "offset" | "lengthBytes">;
type RecordFacts = Pick<FileRow, "id" | "sizeBytes" | "crc32">;

function bodyOf(
  bytes: Uint8Array<ArrayBuffer>,
  row: RecordFacts,
): Uint8Array<ArrayBuffer> | string {
  const head = decodeRecord(bytes);
  if (head?.id !== row.id) return "its record is not in its segment";
  const body = bytes.subarray(head.bodyAt, head.bodyAt + head.sizeBytes);
  if (body.length !== row.sizeBytes) {
    return `${body.length} of ${row.sizeBytes} bytes`;
  }
  return crc32(body) === row.crc32 ? body : "the checksum is wrong";
}

function readAt(
  file: Deno.FsFile,
  offset: number,
  length: number,
): Uint8Array<ArrayBuffer> {
  file.seekSync(offset, Deno.SeekMode.Start);
  const bytes = new Uint8Array(length);
  return bytes.subarray(0, readFullSync(file, bytes));
}
