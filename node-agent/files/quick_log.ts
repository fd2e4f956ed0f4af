/**
 * Records that are answered before they are in the database: new small files
 * whose answer needs no flush.
 *
 * One `write()` puts record and body into a file, from where a start takes them
 * into the database (`quick_replay.ts`) when the process was killed. So the store
 * worker can take many of them in one transaction, a moment later, and no answer
 * waits for another thread.
 *
 * The file is never flushed: what is durable is in the database, which is flushed
 * as before. It is written from its front again once everything in it was stored,
 * so it stays short, and its blocks are there. What lies behind the newest entry
 * is of an earlier lap, which a start passes over.
 *
 * An entry counts at a start only if it follows the last record. So none is
 * written while a record before it is neither here nor in the database.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import { KIB, MIB } from "@kedge/schema";
import { writeAllSync } from "./disk.ts";
import { SLOW_HERE_MS, SUSPECT_LIFE_MS } from "./slow_disks.ts";
import {
  QUICK_HEAD_BYTES,
  type QuickEntry,
  writeQuickEntry,
} from "./quick_log_core.ts";

/** Longest entry, in bytes. */
const ENTRY_BYTES_MAX = 96 * KIB;
/** Length from which records wait for the database, in bytes. */
const FILE_BYTES_MAX = 4 * MIB;
/** While the worker needs longer for a batch, disks are not touched here. */
const WORKER_BUSY_MS_MAX = 100;

/** No entry. */
const NOTHING = new Uint8Array(QUICK_HEAD_BYTES);

/** What {@linkcode QuickLog} works with. */
export interface QuickLogOptions {
  /** Its file; made when missing. */
  readonly path: string;
  /** Last record that is stored. */
  readonly head: number;
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
  readonly #room = new Uint8Array(ENTRY_BYTES_MAX);
  #file: Deno.FsFile | undefined;
  #isBroken = false;
  /** Where the next entry goes. */
  #end = 0;
  #lap = newLap();
  /** The disk held the event loop up: until then it is not touched here. */
  #slowUntilMs = -Infinity;
  /** Entries that are not in the database yet. */
  #waiting = 0;
  /** All records up to this one are here or in the database. */
  #reached: number;

  /** Nothing is opened before the first entry. */
  constructor(options: QuickLogOptions) {
    this.#options = options;
    this.#reached = options.head;
  }

  /** Whether entries are not in the database yet. */
  get isWaiting(): boolean {
    return this.#waiting > 0;
  }

  /**
   * Write a record and its body.
   *
   * @returns Whether it survives the process now; if so, the caller says when it
   * is {@linkcode stored}.
   */
  put(entry: QuickEntry): boolean {
    if (this.#isBroken || entry.sequence !== this.#reached + 1) return false;
    if (entry.body.length > ENTRY_BYTES_MAX - QUICK_HEAD_BYTES) return false;
    if (this.#end > FILE_BYTES_MAX) return false;
    if (this.#options.workerBusyMs() > WORKER_BUSY_MS_MAX) return false;
    if (this.#options.nowMs() < this.#slowUntilMs) return false;
    const lengthBytes = writeQuickEntry(this.#room, entry, this.#lap);
    if (lengthBytes === undefined) return false;
    try {
      this.#write(this.#room.subarray(0, lengthBytes));
    } catch (error) {
      this.#isBroken = true;
      this.#options.onFailed(error);
      return false;
    }
    this.#reached = entry.sequence;
    this.#waiting++;
    return true;
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

  /** An entry is in the database. */
  stored(): void {
    this.#waiting--;
    if (this.#waiting > 0 || this.#end === 0) return;
    this.#end = 0;
    this.#lap = newLap();
    try {
      this.#rewind();
    } catch (error) {
      this.#isBroken = true;
      this.#options.onFailed(error);
    }
  }

  /** A start finds nothing here, whatever the database forgets until then. */
  #rewind(): void {
    if (this.#file === undefined) return;
    this.#file.seekSync(0, Deno.SeekMode.Start);
    writeAllSync(this.#file, NOTHING);
    this.#file.seekSync(0, Deno.SeekMode.Start);
  }

  /** All records up to this one are in the database. */
  reach(sequence: number): void {
    this.#reached = Math.max(this.#reached, sequence);
  }

  /** Take no more. */
  stop(): void {
    this.#isBroken = true;
  }

  /** The same; and touch the file no more. */
  close(): void {
    this.stop();
    this.#file?.close();
    this.#file = undefined;
  }
}

function newLap(): bigint {
  return randomBytes(8).readBigUInt64LE();
}
