/**
 * Journals of bodies, one per store path: files written from front to back, so
 * that one flush makes many bodies durable and no body needs one of its own.
 *
 * A body lies here from before its record is stored until its file was flushed
 * (`finisher.ts`), as small bodies lie in the database; written there, they
 * would be copied twice more. A journal in which nothing is needed any more is
 * written again from its front: its blocks are there, so its flush changes no
 * file system.
 *
 * A journal that failed is never written again, nor flushed once more.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import type { UnsettledRow } from "@kedge/schema/db";
import {
  journalName,
  type JournalToken,
  journalToken,
  parseJournalToken,
} from "./body_journal_core.ts";
import {
  exists,
  flushSync,
  isFull,
  readFull,
  readFullSync,
  removeSync,
  writeAllSync,
} from "./disk.ts";
import type { Layout } from "./layout.ts";

/** Length from which the next journal is begun, in bytes. */
const FILE_BYTES = 64 << 20;
/** Journals of one path that are kept although nothing is in them. */
const SPARE_FILES = 2;
/**
 * From so many on files are flushed early, to have fewer: before the system has
 * written them by itself, which takes a thread and 50 µs each.
 */
const FILES_MANY = 32;
/** So many are never exceeded. */
const FILES_MAX = 48;

/** Where bytes lie. */
export interface JournalPlace {
  readonly token: string;
  readonly offset: number;
}

/** The part of an action that names a place. */
interface Placed extends JournalPlace {
  readonly pathIndex: number;
}

/** One journal. */
interface JournalFile {
  readonly number: number;
  readonly pathIndex: number;
  readonly file: Deno.FsFile;
  /** Where the next body goes. */
  end: number;
  /** Bytes before this were flushed. */
  stableEnd: number;
  /** A flush failed: what was not flushed before never will be. */
  isBroken: boolean;
  /** Its disk failed or changed since: it is not written again. */
  isLast: boolean;
  /** Closed once nothing is written to it: its disk may be unmounted. */
  isClosed: boolean;
  /** Actions that need it. */
  needed: number;
  /** Whether its name was flushed. */
  isNamed: boolean;
}

/** The journals of one store path. */
interface PathJournals {
  next: number;
  current: JournalFile | undefined;
  readonly full: Map<number, JournalFile>;
  readonly spare: JournalFile[];
}

/** For the store worker. */
export class BodyJournals {
  readonly #layout: Layout;
  readonly #fileBytes: number;
  readonly #paths = new Map<number, PathJournals>();
  readonly #dirty = new Set<JournalFile>();
  /** Actions of earlier runs, by journal: these are only read. */
  readonly #old = new Map<string, number>();
  /** Bytes written so far. */
  writtenBytes = 0;

  /**
   * No journal is open.
   *
   * @param fileBytes Length from which the next journal is begun.
   */
  constructor(layout: Layout, fileBytes: number = FILE_BYTES) {
    this.#layout = layout;
    this.#fileBytes = fileBytes;
  }

  /** Whether there is anything to flush. */
  get isDirty(): boolean {
    return this.#dirty.size > 0;
  }

  /** Whether files should be flushed early. */
  get hasMany(): boolean {
    for (const { full } of this.#paths.values()) {
      if (full.size >= FILES_MANY) return true;
    }
    return false;
  }

  /**
   * Write a body, without a flush.
   *
   * @returns `undefined` when there is no room.
   * @throws What the system says: nothing is written to that journal any more.
   */
  put(pathIndex: number, bytes: Uint8Array): JournalPlace | undefined {
    const path = this.#path(pathIndex);
    try {
      const to = path.current ?? this.#begin(path, pathIndex);
      if (to === undefined) return undefined;
      const offset = to.end;
      // In case of a failure nothing behind `end` counts.
      to.file.seekSync(offset, Deno.SeekMode.Start);
      writeAllSync(to.file, bytes);
      to.end = offset + bytes.length;
      this.writtenBytes += bytes.length;
      this.#dirty.add(to);
      if (to.end >= this.#fileBytes) this.#leave(path);
      const { number } = to;
      const token = journalToken(number, bytes.length, crc32(bytes));
      return { token, offset };
    } catch (error) {
      if (isFull(error)) return undefined;
      this.#leave(path);
      throw error;
    }
  }

  /** Write the next body of this path elsewhere: its disk failed or changed. */
  leave(pathIndex: number): void {
    const path = this.#path(pathIndex);
    this.#leave(path);
    for (const journal of path.full.values()) {
      journal.isLast = true;
      this.#rest(journal);
    }
    for (const journal of path.spare.splice(0)) this.#remove(journal);
  }

  /** Let go of one that is not written again, once that can be known. */
  #rest(journal: JournalFile): void {
    const isOver = journal.isLast || journal.isBroken;
    if (isOver && !this.#dirty.has(journal)) close(journal);
  }

  #path(pathIndex: number): PathJournals {
    const known = this.#paths.get(pathIndex);
    if (known !== undefined) return known;
    const made: PathJournals = {
      next: 1,
      current: undefined,
      full: new Map(),
      spare: [],
    };
    this.#paths.set(pathIndex, made);
    return made;
  }

  #begin(path: PathJournals, pathIndex: number): JournalFile | undefined {
    const spare = path.spare.pop();
    if (spare !== undefined) {
      spare.end = spare.stableEnd = 0;
      return path.current = spare;
    }
    if (path.full.size >= FILES_MAX) return undefined;
    const nameOf = (number: number) =>
      this.#layout.staged(pathIndex, journalName(number));
    // Those of earlier runs are there still when the path was closed at the
    // start.
    while (exists(nameOf(path.next))) path.next++;
    const number = path.next++;
    const name = nameOf(number);
    const how = { read: true, write: true, createNew: true, mode: 0o640 };
    const file = Deno.openSync(name, how);
    return path.current = {
      ...{ number, pathIndex, file, end: 0, stableEnd: 0, needed: 0 },
      ...{ isNamed: false, isBroken: false, isLast: false, isClosed: false },
    };
  }

  /** The present journal takes no more. */
  #leave(path: PathJournals): void {
    const { current } = path;
    if (current === undefined) return;
    path.current = undefined;
    path.full.set(current.number, current);
  }

  /**
   * Flush what was written.
   *
   * @returns Store paths of which a journal could not be flushed, and why.
   */
  sync(): Map<number, unknown> {
    const failed = new Map<number, unknown>();
    for (const journal of this.#dirty) {
      this.#dirty.delete(journal);
      try {
        journal.file.syncDataSync();
        if (!journal.isNamed) {
          flushSync(this.#layout.staging(journal.pathIndex));
        }
        journal.isNamed = true;
        journal.stableEnd = journal.end;
      } catch (error) {
        failed.set(journal.pathIndex, error);
        this.#leave(this.#path(journal.pathIndex));
        journal.isBroken = true;
      }
      this.#rest(journal);
    }
    return failed;
  }

  /** Whether bytes lie behind a flush that failed. */
  hasLost({ pathIndex, token, offset }: Placed): boolean {
    const parsed = parseJournalToken(token);
    if (parsed === undefined) return false;
    const journal = this.#find(pathIndex, parsed.file);
    return journal?.isBroken === true && offset >= journal.stableEnd;
  }

  /** An action with a place here was stored. */
  hold({ pathIndex, token }: Placed): void {
    const parsed = parseJournalToken(token);
    if (parsed === undefined) return;
    const journal = this.#find(pathIndex, parsed.file);
    if (journal !== undefined) journal.needed++;
  }

  /** An action is forgotten. */
  release({ pathIndex, token }: Placed): void {
    const parsed = parseJournalToken(token);
    if (parsed === undefined) return;
    if (this.#releaseOld(pathIndex, parsed.name)) return;
    const journal = this.#find(pathIndex, parsed.file);
    if (journal === undefined) return;
    journal.needed--;
    const path = this.#path(pathIndex);
    for (const one of path.full.values()) {
      if (one.needed <= 0) this.#retire(path, one);
    }
  }

  /** Nothing in it is needed any more. */
  #retire(path: PathJournals, journal: JournalFile): void {
    path.full.delete(journal.number);
    this.#dirty.delete(journal);
    const mayServe = !journal.isBroken && !journal.isLast;
    if (mayServe && path.spare.length < SPARE_FILES) path.spare.push(journal);
    else this.#remove(journal);
  }

  #find(pathIndex: number, number: number): JournalFile | undefined {
    const path = this.#path(pathIndex);
    return path.current?.number === number
      ? path.current
      : path.full.get(number);
  }

  #remove(journal: JournalFile): void {
    const { number, pathIndex } = journal;
    close(journal);
    try {
      removeSync(this.#layout.staged(pathIndex, journalName(number)));
    } catch {
      // Swept at the next start.
    }
  }

  /** An action of an earlier run: its journal is read, and goes with it. */
  keepOld({ pathIndex, token }: Placed): void {
    const parsed = parseJournalToken(token);
    if (parsed === undefined) return;
    const path = this.#path(pathIndex);
    path.next = Math.max(path.next, parsed.file + 1);
    const key = `${pathIndex}/${parsed.name}`;
    this.#old.set(key, (this.#old.get(key) ?? 0) + 1);
  }

  #releaseOld(pathIndex: number, name: string): boolean {
    const key = `${pathIndex}/${name}`;
    const needed = this.#old.get(key);
    if (needed === undefined) return false;
    if (needed > 1) {
      this.#old.set(key, needed - 1);
      return true;
    }
    this.#old.delete(key);
    try {
      removeSync(this.#layout.staged(pathIndex, name));
    } catch {
      // Swept at the next start.
    }
    return true;
  }

  /** Close all journals; those that nobody needs go. */
  close(): void {
    for (const { current, full, spare } of this.#paths.values()) {
      for (const journal of [current, ...full.values(), ...spare]) {
        if (journal === undefined) continue;
        if (journal.needed <= 0) this.#remove(journal);
        else close(journal);
      }
    }
  }
}

function close(journal: JournalFile): void {
  if (!journal.isClosed) journal.file.close();
  journal.isClosed = true;
}

/** The part of an unsettled row that tells where its bytes are. */
type Kept = Placed & Pick<UnsettledRow, "payload">;

/**
 * The bytes of an action that is not settled, wherever they lie.
 *
 * @returns `undefined` when it has none, or other bytes are in its place.
 */
export function keptBytes(
  layout: Layout,
  kept: Kept,
): Uint8Array<ArrayBuffer> | undefined {
  if (kept.payload !== null) return new Uint8Array(kept.payload);
  const parsed = parseJournalToken(kept.token);
  if (parsed === undefined) return undefined;
  try {
    const path = layout.staged(kept.pathIndex, parsed.name);
    const file = Deno.openSync(path);
    try {
      const bytes = new Uint8Array(parsed.lengthBytes);
      file.seekSync(kept.offset, Deno.SeekMode.Start);
      return ifRight(bytes, readFullSync(file, bytes), parsed);
    } finally {
      file.close();
    }
  } catch {
    return undefined;
  }
}

/** As {@linkcode keptBytes}, beside the event loop. */
export async function keptBytesAside(
  layout: Layout,
  kept: Kept,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const parsed = parseJournalToken(kept.token);
  if (kept.payload !== null || parsed === undefined) {
    return keptBytes(layout, kept);
  }
  try {
    const path = layout.staged(kept.pathIndex, parsed.name);
    const file = await Deno.open(path);
    try {
      const bytes = new Uint8Array(parsed.lengthBytes);
      await file.seek(kept.offset, Deno.SeekMode.Start);
      return ifRight(bytes, await readFull(file, bytes), parsed);
    } finally {
      file.close();
    }
  } catch {
    return undefined;
  }
}

function ifRight(
  bytes: Uint8Array<ArrayBuffer>,
  countBytes: number,
  wanted: JournalToken,
): Uint8Array<ArrayBuffer> | undefined {
  const isWhole = countBytes === bytes.length;
  return isWhole && crc32(bytes) === wanted.crc32 ? bytes : undefined;
}
