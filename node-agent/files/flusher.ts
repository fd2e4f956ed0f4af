/**
 * Brings files and the names in their folders to the disk.
 *
 * Many are flushed with everything else on their file system, where that can be
 * done (`whole_flushes.ts`). Few are flushed by themselves: another program may
 * have written much there.
 *
 * By the time that files settle the system has mostly written them by itself,
 * and a flush finds nothing to do. Then it is made on this thread: to hand it to
 * another one costs ten times as much. The first one that takes time sends the
 * rest of them to other threads.
 *
 * @module
 */

import { parseJournalToken } from "./body_journal_core.ts";
import {
  describeError,
  exists,
  flush,
  flushContent,
  flushContentSync,
  isMissing,
  isOutOfFiles,
  UNMOUNTED,
} from "./disk.ts";
import type { Pending } from "./file_actions.ts";
import type { FinisherEvents } from "./finisher.ts";
import { folderOf, type Layout } from "./layout.ts";
import { segmentOf } from "./packer.ts";
import { WholeFlushes } from "./whole_flushes.ts";
import { pause } from "../turns.ts";

/** An action, and the path of its file. */
export interface Placed {
  readonly action: Pending;
  readonly path: string;
}

/** How it went. */
export interface Flushed {
  /** Store paths on which a flush failed. */
  readonly failed: Set<number>;
  /** Files that were not there. */
  readonly missing: ReadonlySet<string>;
}

/** From so many files on the whole file system is flushed instead. */
const FILES_WHOLE_MIN = 32;
/** Flushes under way at once: the file system joins them. */
const FLUSHES_AT_ONCE = 32;

/** A flush by another thread that took no longer found nothing to do, in ms. */
const NOTHING_MS_MAX = 2;
/** A flush on this thread that takes longer is the last one here, in ms. */
const HERE_MS_MAX = 2;
/** Others get their turn after so many milliseconds. */
const SLICE_MS = 4;

/** A path of a file, and its store path. */
type Queue = [path: string, pathIndex: number][];

/** Flushes what actions did. */
export class Flusher {
  readonly #layout: Layout;
  readonly #newFolders: Set<string>;
  readonly #events: Pick<FinisherEvents, "fence" | "mayWrite">;
  readonly #wholes: WholeFlushes;
  #missing = new Set<string>();

  /** Flush on these store paths; `newFolders` are those made lately. */
  constructor(
    layout: Layout,
    newFolders: Set<string>,
    events: Pick<FinisherEvents, "fence" | "mayWrite">,
  ) {
    this.#layout = layout;
    this.#newFolders = newFolders;
    this.#events = events;
    this.#wholes = new WholeFlushes(layout);
  }

  /** An action was carried out just now. */
  done(action: Pending): void {
    action.done = true;
    this.#wholes.done(action);
  }

  /** It was found to be done already; perhaps the disk has not got it. */
  found(action: Pending): void {
    action.done = true;
    action.doneAs = undefined;
  }

  /** A store path was mended or replaced. */
  renew(pathIndex: number): void {
    this.#wholes.renew(pathIndex);
  }

  /** Have errors on this path reported from now on, also those of others. */
  watch(pathIndex: number): void {
    this.#wholes.isPossible(pathIndex);
  }

  /**
   * Flush everything on a path, on this thread.
   *
   * @throws `Error` A write to its file system failed, or it cannot be flushed as
   * a whole.
   */
  flushHere(pathIndex: number): void {
    this.#wholes.flushHere(pathIndex);
  }

  /** Let go of the file systems. */
  close(): void {
    this.#wholes.close();
  }

  /** Flush what these actions made, and their folders. One call at a time. */
  async all(placed: readonly Placed[]): Promise<Flushed> {
    const missing = this.#missing = new Set<string>();
    const failed = new Set<number>();
    const left: Placed[] = [];
    const byPath = Map.groupBy(placed, ({ action }) => action.pathIndex);
    for (const [pathIndex, some] of byPath) {
      // It may have failed during the flush of another one.
      if (!this.#events.mayWrite(pathIndex)) {
        failed.add(pathIndex);
        continue;
      }
      left.push(...await this.#together(some, pathIndex, failed));
    }
    await this.#files(left, failed);
    await this.#folders(left, failed);
    return { failed, missing };
  }

  /**
   * Flush what lies on one path, if it is much.
   *
   * @returns What must be flushed by itself.
   */
  async #together(
    placed: readonly Placed[],
    pathIndex: number,
    failed: Set<number>,
  ): Promise<readonly Placed[]> {
    const actions = placed.map(({ action }) => action);
    const isFlushed = this.#wholes.areFlushed(actions, pathIndex);
    if (!isFlushed && placed.length < FILES_WHOLE_MIN) return placed;
    if (!this.#wholes.isPossible(pathIndex)) return placed;
    if (!isFlushed) {
      const flush = () => this.#wholes.flush(pathIndex);
      await this.#one(flush, this.#layout.data(pathIndex), pathIndex, failed);
    }
    const elsewhere = new Set<string>();
    const look = (path: string) => {
      if (!this.#wholes.has(path, pathIndex)) elsewhere.add(path);
    };
    for (const [path] of this.#pathsOf(placed)) {
      await this.#one(look, path, pathIndex, failed);
    }
    const isLeft = ({ path }: Placed) => elsewhere.has(path);
    if (failed.has(pathIndex)) return [];
    for (const one of placed) {
      if (!isLeft(one)) this.#newFolders.delete(folderOf(one.path));
    }
    return placed.filter(isLeft);
  }

  #pathsOf(placed: readonly Placed[]): Map<string, number> {
    const paths = new Map<string, number>();
    for (const { action, path } of placed) {
      const { kind, token, pathIndex } = action;
      const segment = kind === "unlink" ? segmentOf(token) : undefined;
      if (segment !== undefined) {
        paths.set(this.#layout.segment(pathIndex, segment), pathIndex);
      } else if (kind !== "unlink") paths.set(path, pathIndex);
    }
    return paths;
  }

  async #files(
    placed: readonly Placed[],
    failed: Set<number>,
  ): Promise<void> {
    const queue = [...this.#pathsOf(placed)];
    await this.#quick(queue, failed);
    const work = async () => {
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
        await this.#one(flushContent, ...next, failed);
      }
    };
    await Promise.all(Array.from({ length: FLUSHES_AT_ONCE }, work));
  }

  /** Flush those that need no flush any more, up to the first one that does. */
  async #quick(queue: Queue, failed: Set<number>): Promise<void> {
    const first = queue.pop();
    if (first === undefined) return;
    let sinceMs = performance.now();
    await this.#one(flushContent, ...first, failed);
    if (performance.now() - sinceMs > NOTHING_MS_MAX) return;
    sinceMs = performance.now();
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      const beganMs = performance.now();
      await this.#one(flushContentSync, ...next, failed);
      const nowMs = performance.now();
      if (nowMs - beganMs > HERE_MS_MAX) return;
      if (nowMs - sinceMs < SLICE_MS) continue;
      await pause();
      sinceMs = performance.now();
    }
  }

  async #one(
    how: (path: string) => Promise<void> | void,
    path: string,
    pathIndex: number,
    failed: Set<number>,
  ): Promise<void> {
    if (failed.has(pathIndex)) return;
    try {
      await how(path);
    } catch (error) {
      // Mostly deleted or moved meanwhile by a later action.
      const isThere = this.#isMounted(pathIndex);
      if (isThere && isMissing(error)) return void this.#missing.add(path);
      failed.add(pathIndex);
      if (isOutOfFiles(error)) return; // nothing was flushed: that comes later
      const why = isThere ? describeError(error) : UNMOUNTED;
      this.#events.fence(pathIndex, `flush: ${why}`);
    }
  }

  #isMounted(pathIndex: number): boolean {
    try {
      return exists(this.#layout.marker(pathIndex));
    } catch {
      return false; // its disk fails
    }
  }

  /** Flush the folders of files, and of new folders above them. */
  async #folders(
    placed: readonly Placed[],
    failed: Set<number>,
  ): Promise<void> {
    const folders = new Map<string, number>();
    for (const { action: { pathIndex, token }, path } of placed) {
      const folder = folderOf(path);
      folders.set(folder, pathIndex);
      const isStaged = token !== "" && parseJournalToken(token) === undefined;
      if (isStaged) folders.set(this.#layout.staging(pathIndex), pathIndex);
      // A folder made lately: its name, and that of its parent.
      if (!this.#newFolders.delete(folder)) continue;
      const top = this.#layout.data(pathIndex);
      for (let up = folderOf(folder); up.length >= top.length;) {
        folders.set(up, pathIndex);
        up = folderOf(up);
      }
    }
    for (const [folder, pathIndex] of folders) {
      await this.#one(flush, folder, pathIndex, failed);
    }
  }
}
