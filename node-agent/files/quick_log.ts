/**
 * Records that are answered before they are in the database: new small files,
 * ours and those of peers, whose answer needs no flush.
 *
 * One `write()` puts record and body, or the name of the staging file that has
 * the bytes (`early_files.ts`), into a file, from where a start takes them into
 * the database (`quick_replay.ts`) when the process was killed. So the store
 * worker can take many of them in one transaction, a moment later, and no answer
 * waits for another thread.
 *
 * The file is not flushed: what is durable is in the database, which is flushed
 * as before; only when that fails, it is ({@linkcode QuickLog.keep}). It is
 * written from its front again once everything in it was stored, so it stays
 * short, and its blocks are there. What lies behind the newest entry is of an
 * earlier lap, which a start passes over.
 *
 * An entry counts at a start only if it follows the last record of its log. So
 * none is written while a record before it is neither here nor in the database.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import {
  KIB,
  MIB,
  RECORD_BODY_BYTES_MAX,
  type SyncPosition,
} from "@kedge/schema";
import { flush, folderAbove, writeAllSync } from "./disk.ts";
import { SLOW_HERE_MS, SUSPECT_LIFE_MS } from "./slow_disks.ts";
import {
  QUICK_HEAD_BYTES,
  type QuickEntry,
  writeQuickEntry,
} from "./quick_log_core.ts";

/** Longest entry, in bytes. */
const ENTRY_BYTES_MAX = RECORD_BODY_BYTES_MAX + 32 * KIB;
/** Length of the file; what does not fit waits for the database. */
const FILE_BYTES_MAX = 16 * MIB;
/** While the worker needs longer for a batch, disks are not touched here. */
const WORKER_BUSY_MS_MAX = 100;

/** No entry. */
const NOTHING = new Uint8Array(QUICK_HEAD_BYTES);

/** What {@linkcode QuickLog} works with. */
export interface QuickLogOptions {
  /** Its file; made when missing. */
  readonly path: string;
  /** What is stored of every log: ours, and those of peers. */
  readonly stored: readonly SyncPosition[];
  /** How long the worker has been busy with one batch, in ms. */
  readonly workerBusyMs: () => number;
  /** Monotonic time, in milliseconds. */
  readonly nowMs: () => number;
  /** It cannot be written: it is not used any more in this run. */
  readonly onFailed: (error: unknown) => void;
}

/** See the module comment. */
export class QuickLog {
  readonly #options: QuickLogOptions;
  /** What is in the file. */
  readonly #bytes = new Uint8Array(FILE_BYTES_MAX);
  #file: Deno.FsFile | undefined;
  #isBroken = false;
  /** Where the next entry goes. */
  #end = 0;
  #lap = newLap();
  /** The disk held the event loop up: until then it is not touched here. */
  #slowUntilMs = -Infinity;
  /** Entries that are not in the database yet. */
  #waiting = 0;
  /** By log: all records up to this one are here or in the database. */
  readonly #reached = new Map<string, number>();

  /** Nothing is opened before the first entry. */
  constructor(options: QuickLogOptions) {
    this.#options = options;
    for (const position of options.stored) this.reach(position);
  }

  /** Whether entries are not in the database yet. */
  get isWaiting(): boolean {
    return this.#waiting > 0;
  }

  /** Whether a record follows what is stored of its log: else it waits. */
  follows(record: SyncPosition): boolean {
    return record.sequence === (this.#reached.get(nameOf(record)) ?? 0) + 1;
  }

  /**
   * Write records of one log and their bodies, as many as there is room for.
   *
   * @returns The bodies of those that survive the process now, as they lie here.
   * The caller says when they are {@linkcode stored}; they stay until then.
   */
  put(entries: Iterable<QuickEntry>): Uint8Array[] {
    const bodies: Uint8Array[] = [];
    const { workerBusyMs, nowMs } = this.#options;
    if (this.#isBroken || nowMs() < this.#slowUntilMs) return bodies;
    if (workerBusyMs() > WORKER_BUSY_MS_MAX) return bodies;
    let end = this.#end;
    let last: QuickEntry | undefined;
    for (const entry of entries) {
      const isNext = last === undefined
        ? this.follows(entry)
        : entry.sequence === last.sequence + 1;
      if (!isNext) break;
      const room = this.#bytes.subarray(end, end + ENTRY_BYTES_MAX);
      const lengthBytes = writeQuickEntry(room, entry, this.#lap);
      if (lengthBytes === undefined) break;
      const bodyAt = lengthBytes - entry.body.length;
      bodies.push(room.subarray(bodyAt, lengthBytes));
      end += lengthBytes;
      last = entry;
    }
    if (last === undefined) return bodies;
    try {
      this.#write(this.#bytes.subarray(this.#end, end));
    } catch (error) {
      this.#fail(error);
      return [];
    }
    this.#reached.set(nameOf(last), last.sequence);
    this.#waiting += bodies.length;
    return bodies;
  }

  #write(bytes: Uint8Array): void {
    const file = this.#file ??= Deno.openSync(this.#options.path, {
      ...{ write: true, create: true, truncate: true, mode: 0o640 },
    });
    const beganMs = this.#options.nowMs();
    writeAllSync(file, bytes);
    this.#end += bytes.length;
    const endMs = this.#options.nowMs();
    if (endMs - beganMs < SLOW_HERE_MS) return;
    this.#slowUntilMs = endMs + SUSPECT_LIFE_MS;
  }

  #fail(error: unknown): void {
    this.#isBroken = true;
    this.#options.onFailed(error);
  }

  /** So many entries are in the database. */
  stored(count = 1): void {
    this.#waiting -= count;
    if (this.#waiting > 0 || this.#end === 0) return;
    this.#end = 0;
    this.#lap = newLap();
    try {
      this.#rewind();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** A start finds nothing here, whatever the database forgets until then. */
  #rewind(): void {
    if (this.#file === undefined) return;
    this.#file.seekSync(0, Deno.SeekMode.Start);
    writeAllSync(this.#file, NOTHING);
    this.#file.seekSync(0, Deno.SeekMode.Start);
  }

  /** All records of a log up to this one are in the database. */
  reach(position: SyncPosition): void {
    const log = nameOf(position);
    const known = this.#reached.get(log) ?? 0;
    this.#reached.set(log, Math.max(known, position.sequence));
  }

  /** What the database has of a log is forgotten. */
  forget(log: Pick<SyncPosition, "origin" | "incarnation">): void {
    this.#reached.delete(nameOf(log));
  }

  /** Take no more. */
  stop(): void {
    this.#isBroken = true;
  }

  /**
   * The same; and flush what the database did not get and never will in this
   * run, once.
   *
   * @throws {Error} It may not outlive a loss of power.
   */
  async keep(): Promise<void> {
    this.stop();
    if (this.#waiting === 0 || this.#file === undefined) return;
    await this.#file.syncData();
    await flush(folderAbove(this.#options.path)); // its name may be new
  }

  /** The same; and touch the file no more. */
  close(): void {
    this.stop();
    this.#file?.close();
    this.#file = undefined;
  }
}

function nameOf(
  { origin, incarnation }: Pick<SyncPosition, "origin" | "incarnation">,
): string {
  return `${origin}:${incarnation}`;
}

function newLap(): bigint {
  return randomBytes(8).readBigUInt64LE();
}
