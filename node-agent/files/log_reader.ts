/**
 * Reads records of our log back from the database.
 *
 * @module
 */

import { INLINE_BODY_BYTES_MAX, Problem } from "@kedge/schema";
import type { Change } from "@kedge/schema/change";
import { entryOf, type FileRow } from "@kedge/schema/db";
import type {
  ContentSource,
  LogPlace,
  LogRecordWithContent,
  RecordsLimit,
} from "../ports.ts";
import type { StoredFiles, StoreParts } from "./local_files.ts";
import { recordChecksum } from "./record_checksum.ts";

/** Reads the log of one store. */
export class LogReader {
  readonly #parts: StoreParts;
  readonly #files: StoredFiles;

  /** Read with these. */
  constructor(parts: StoreParts, files: StoredFiles) {
    this.#parts = parts;
    this.#files = files;
  }

  /**
   * The records after a place, up to a limit; those before one that cannot be
   * read go first.
   *
   * @throws When the first of them cannot be read: {@linkcode after} says why.
   */
  async some(
    { incarnation, sequence: after }: LogPlace,
    limit: RecordsLimit,
  ): Promise<LogRecordWithContent[]> {
    const { recordBytes = INLINE_BODY_BYTES_MAX } = limit;
    const found: LogRecordWithContent[] = [];
    let bytes = 0;
    while (found.length < limit.records && bytes < limit.bytes) {
      const sequence = after + found.length;
      const record = await this.after({ incarnation, sequence }, recordBytes)
        .catch((error: unknown) => {
          if (found.length === 0) throw error;
        });
      if (record === undefined) break;
      const { content } = record;
      found.push(record);
      bytes += content.kind === "inline" ? content.bytes.length : 0;
    }
    return found;
  }

  /**
   * The record after a place, with its bytes when they are few and here: read at
   * once and whole, and checked.
   *
   * @param bytesMax Most bytes to read.
   * @throws {Problem} `damaged`: the log stops here, with an alarm (F8).
   * @throws {Error} The record is forgotten (`log_cut.ts`).
   */
  async after(
    { incarnation, sequence: after }: LogPlace,
    bytesMax: number,
  ): Promise<LogRecordWithContent | undefined> {
    const { index, alarms } = this.#parts;
    const row = index.statements.changesAfter
      .get({ incarnation, sequence: after, limit: 1 });
    if (row === undefined) return undefined;
    const { sequence, record } = row;
    if (sequence !== after + 1) {
      const place = `${incarnation}/${after + 1}`;
      throw new Error(`record ${place} is forgotten; the next is ${sequence}`);
    }
    if (recordChecksum({ incarnation, sequence, record }) !== row.crc32) {
      const why = `record ${sequence} of log ${incarnation} is damaged`;
      alarms.add(`${why}; this log stops here`);
      throw new Problem("damaged", `${why}: the log stops here`, {
        incarnation,
        sequence,
      });
    }
    return { sequence, ...await this.#asNow(JSON.parse(record), bytesMax) };
  }

  /**
   * A record as it may be sent now (docs/replication.md): a file that was
   * deleted meanwhile must not come to life again where its tombstone is not
   * known, or no longer.
   */
  async #asNow(
    change: Change,
    bytesMax: number,
  ): Promise<Omit<LogRecordWithContent, "sequence">> {
    const none = { body: { kind: "none" }, content: { kind: "none" } } as const;
    const { entry, key } = change;
    const row = this.#parts.index.row(entry.id);
    if (row === undefined) {
      const { body, content } = none;
      return { change: { entry, body }, content, isHole: true };
    }
    if (row.tombstone === 1) {
      const dead = { entry: entryOf(row), body: none.body };
      return {
        change: key === undefined ? dead : { ...dead, key },
        content: none.content,
      };
    }
    return { change, content: await this.#contentOf(change, bytesMax) };
  }

  /** Bytes of a small file, if it is still what the record made. */
  async #contentOf(
    { entry, body }: Change,
    bytesMax: number,
  ): Promise<ContentSource> {
    const none: ContentSource = { kind: "none" };
    if (body.kind !== "whole" || entry.state === "tombstone") return none;
    if (entry.sizeBytes > bytesMax) return none;
    // May grow: what is long is read in blocks.
    if (entry.appender && entry.sizeBytes > INLINE_BODY_BYTES_MAX) return none;
    const row: FileRow | undefined = this.#parts.index.row(entry.id);
    if (row === undefined || row.damaged === 1) return none;
    if (row.epoch !== entry.epoch || row.version !== entry.version) return none;
    try {
      const bytes = await this.#files.read(entry);
      return bytes instanceof Uint8Array ? { kind: "inline", bytes } : none;
    } catch {
      return none; // damaged here: the peer asks for it and hears so
    }
  }

  /** Earlier runs of our log with their last sequence, oldest first. */
  incarnationsBefore(present: number) {
    const { statements } = this.#parts.index;
    const list: { incarnation: number; lastSequence: number }[] = [];
    for (let incarnation = 0;;) {
      const next = statements.nextIncarnation.get({ incarnation });
      if (next === undefined || next.incarnation >= present) return list;
      incarnation = next.incarnation;
      const last = statements.lastSequence.get({ incarnation })?.last;
      list.push({ incarnation, lastSequence: last ?? 0 });
    }
  }
}
