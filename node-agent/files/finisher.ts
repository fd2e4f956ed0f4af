/**
 * Brings files to where the index says they are: after a commit, after a crash,
 * and to the disk for good.
 *
 * Every action is stored with its row before it is carried out ("unsettled").
 * It may be carried out again at any time, so a crash costs nothing. It is
 * forgotten only after the file and its folder were flushed.
 *
 * @module
 */

import type { FileRow, UnsettledKind } from "@kedge/schema/db";
import type { WriteStatements } from "./statements.ts";
import { isGood } from "./content_check.ts";
import {
  describeError,
  flushSync,
  isFull,
  isMissing,
  readFullSync,
  removeSync,
  writeAllSync,
} from "./disk.ts";
import { folderOf, type Layout } from "./layout.ts";

/** An action of which the database still has the bytes or the token. */
export interface Pending {
  readonly number: number;
  readonly id: string;
  readonly kind: UnsettledKind;
  readonly pathIndex: number;
  readonly token: string;
  readonly offset: number;
  readonly replaces: boolean;
  /** When it was stored, by the monotonic clock. */
  readonly sinceMs: number;
  /** Whether the disk shows it. */
  done: boolean;
}

/** What the finisher tells about disks. */
export interface FinisherEvents {
  /** A write or flush failed: the path takes no more bytes. */
  fence(pathIndex: number, reason: string): void;
  /** Whether a path takes bytes. */
  mayWrite(pathIndex: number): boolean;
}

const COPY_BYTES = 1 << 20;

/** Carries out actions. */
export class Finisher {
  readonly #layout: Layout;
  readonly #statements: WriteStatements;
  readonly #events: FinisherEvents;
  readonly #folders = new Set<string>();
  /** In the order of their numbers. */
  #pending: Pending[] = [];

  /** Work on one database and its store paths. */
  constructor(
    layout: Layout,
    statements: WriteStatements,
    events: FinisherEvents,
  ) {
    this.#layout = layout;
    this.#statements = statements;
    this.#events = events;
  }

  /** Actions that are not forgotten yet. */
  get pendingCount(): number {
    return this.#pending.length;
  }

  /**
   * Carry out a new action.
   *
   * @param payload Its bytes, when they are at hand.
   */
  finish(action: Pending, payload: Uint8Array | null): void {
    this.#pending.push(action);
    this.#attempt(action, payload);
  }

  #attempt(action: Pending, payload: Uint8Array | null): void {
    // Bytes that a fenced path does not take stay in the database, where
    // reads find them.
    if (!this.#events.mayWrite(action.pathIndex)) return;
    try {
      this.#perform(action, payload);
      action.done = true;
    } catch (error) {
      if (isFull(error)) return; // tried again when it settles
      const what = `${action.kind} of a file: ${describeError(error)}`;
      this.#events.fence(action.pathIndex, what);
    }
  }

  #perform(action: Pending, payload: Uint8Array | null): void {
    const path = this.#layout.file(action.id, action.pathIndex);
    switch (action.kind) {
      case "write":
        return this.#write(path, action, payload ?? new Uint8Array(0));
      case "extend":
        return extendFile(path, action.offset, payload ?? new Uint8Array(0));
      case "join":
        return joinFile(
          path,
          action.offset,
          this.#layout.staged(action.pathIndex, action.token),
        );
      case "rename": {
        const from = this.#layout.staged(action.pathIndex, action.token);
        return this.#inFolder(path, () => renameOnce(from, path));
      }
      case "unlink":
        return removeSync(path);
      default:
        return action.kind satisfies never;
    }
  }

  #write(path: string, action: Pending, payload: Uint8Array): void {
    if (!action.replaces) {
      try {
        // Nobody sees the name before the index is told to show it.
        return this.#inFolder(
          path,
          () => Deno.writeFileSync(path, payload, { createNew: true }),
        );
      } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      }
    }
    const temporary = this.#layout.staged(
      action.pathIndex,
      `write-${action.number}`,
    );
    Deno.writeFileSync(temporary, payload);
    this.#inFolder(path, () => Deno.renameSync(temporary, path));
  }

  /** Do something that needs the folder of `path`; make it when missing. */
  #inFolder(path: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!isMissing(error)) throw error;
      const folder = folderOf(path);
      Deno.mkdirSync(folder, { recursive: true });
      this.#folders.add(folder);
      act();
    }
  }

  /**
   * Flush what is old enough, as long as the slice lasts.
   *
   * @param beforeMs Actions stored before this monotonic time.
   * @param untilMs Monotonic time at which to stop.
   * @returns The actions that may be forgotten.
   */
  settle(beforeMs: number, untilMs: number): Pending[] {
    const settled: Pending[] = [];
    const kept: Pending[] = [];
    const folders = new Map<string, number>();
    let at = 0;
    for (; at < this.#pending.length; at++) {
      const action = this.#pending[at];
      if (action === undefined || action.sinceMs > beforeMs) break;
      if (settled.length > 0 && performance.now() >= untilMs) break;
      if (this.#settleOne(action, folders)) settled.push(action);
      else kept.push(action);
    }
    const failed = this.#flushFolders(folders);
    if (failed.size > 0) return []; // fenced: nothing is forgotten
    this.#pending = [...kept, ...this.#pending.slice(at)];
    return settled;
  }

  #settleOne(action: Pending, folders: Map<string, number>): boolean {
    const { pathIndex } = action;
    if (!this.#events.mayWrite(pathIndex)) return false;
    if (!action.done) this.#attempt(action, this.#payloadOf(action));
    if (!action.done) return false;
    const path = this.#layout.file(action.id, pathIndex);
    try {
      if (action.kind !== "unlink") flushSync(path);
    } catch (error) {
      // Deleted or moved meanwhile by a later action.
      if (!isMissing(error)) {
        this.#events.fence(
          pathIndex,
          `flush of a file: ${describeError(error)}`,
        );
        return false;
      }
    }
    folders.set(folderOf(path), pathIndex);
    if (action.token !== "") {
      folders.set(this.#layout.staging(pathIndex), pathIndex);
    }
    return true;
  }

  #flushFolders(folders: Map<string, number>): Set<number> {
    const failed = new Set<number>();
    const flushOne = (folder: string, pathIndex: number) => {
      try {
        flushSync(folder);
      } catch (error) {
        if (isMissing(error)) return;
        failed.add(pathIndex);
        this.#events.fence(
          pathIndex,
          `flush of a folder: ${describeError(error)}`,
        );
      }
    };
    for (const [folder, pathIndex] of folders) {
      flushOne(folder, pathIndex);
      // A folder made in this run: its own name, and that of its parent.
      if (!this.#folders.delete(folder)) continue;
      const top = this.#layout.data(pathIndex);
      for (let up = folderOf(folder); up.length >= top.length;) {
        flushOne(up, pathIndex);
        up = folderOf(up);
      }
    }
    return failed;
  }

  #payloadOf(action: Pending): Uint8Array | null {
    const row = this.#statements.firstUnsettled
      .get({ number: action.number - 1 });
    return row?.number === action.number ? row.payload : null;
  }

  /** Tokens of joined files, which go once their action is forgotten. */
  dropTokens(actions: readonly Pending[]): void {
    for (const { kind, pathIndex, token } of actions) {
      if (kind !== "join") continue;
      try {
        removeSync(this.#layout.staged(pathIndex, token));
      } catch {
        // Swept at the next start.
      }
    }
  }

  /**
   * Carry out again what a crash may have undone.
   *
   * @param rowOf The index.
   * @returns IDs of files that could not be completed.
   */
  replay(rowOf: (id: string) => FileRow | undefined): string[] {
    const byId = new Map<string, Pending[]>();
    const nowMs = performance.now();
    for (let last = 0;;) {
      const row = this.#statements.firstUnsettled.get({ number: last });
      if (row === undefined) break;
      last = row.number;
      const action: Pending = {
        number: row.number,
        id: row.id,
        kind: row.kind as UnsettledKind,
        pathIndex: row.pathIndex,
        token: row.token,
        offset: row.offset,
        replaces: true,
        sinceMs: nowMs,
        done: false,
      };
      this.#pending.push(action);
      const list = byId.get(row.id);
      if (list === undefined) byId.set(row.id, [action]);
      else list.push(action);
    }
    const damaged: string[] = [];
    for (const [id, actions] of byId) {
      const row = rowOf(id);
      if (row !== undefined && !this.#replayOne(row, actions)) damaged.push(id);
    }
    return damaged;
  }

  /** Whether the disk shows what the row says, if need be by doing it again. */
  #replayOne(row: FileRow, actions: readonly Pending[]): boolean {
    const path = this.#layout.file(row.id, row.pathIndex);
    const isRight = () =>
      row.tombstone === 1 ? !exists(path) : isGood(path, row);
    const markDone = () => actions.forEach((action) => action.done = true);
    if (row.damaged === 1) return markDone(), true;
    if (!this.#events.mayWrite(row.pathIndex)) return true;
    if (isRight()) return markDone(), true;
    for (const action of actions) {
      this.#attempt(action, this.#payloadOf(action));
    }
    if (isRight()) return markDone(), true;
    // Not for want of space or of a path: the bytes are gone.
    return actions.some((action) => !action.done);
  }

  /** Names of staging files that are still needed on a path. */
  tokens(pathIndex: number): Set<string> {
    return new Set(
      this.#pending.filter((action) => action.pathIndex === pathIndex)
        .map((action) => action.token),
    );
  }

  /** Number of the last action that is not forgotten, or 0. */
  get lastNumber(): number {
    return this.#pending.at(-1)?.number ?? 0;
  }
}

/** Put bytes at the end of a file, over whatever lies beyond. */
function extendFile(path: string, offset: number, bytes: Uint8Array): void {
  const file = Deno.openSync(path, { write: true });
  try {
    if (file.statSync().size < offset) {
      throw new Deno.errors.NotFound("the file is shorter than the index says");
    }
    file.seekSync(offset, Deno.SeekMode.Start);
    writeAllSync(file, bytes);
    const end = offset + bytes.length;
    if (file.statSync().size > end) file.truncateSync(end);
  } finally {
    file.close();
  }
}

/** Put a staging file at the end of a file, over whatever lies beyond. */
function joinFile(path: string, offset: number, token: string): void {
  const from = Deno.openSync(token);
  try {
    const buffer = new Uint8Array(COPY_BYTES);
    let at = offset;
    for (;;) {
      const count = readFullSync(from, buffer);
      extendFile(path, at, buffer.subarray(0, count));
      at += count;
      if (count < buffer.length) return;
    }
  } finally {
    from.close();
  }
}

/** Rename; the token may have been renamed before a crash. */
function renameOnce(from: string, to: string): void {
  try {
    Deno.renameSync(from, to);
  } catch (error) {
    if (isMissing(error) && !exists(from) && exists(to)) return;
    throw error;
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
