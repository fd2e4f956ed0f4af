/**
 * Which of the actions that were carried out lie behind a flush of the whole
 * file system of their store path, and such flushes.
 *
 * @module
 */

import type { Pending } from "./file_actions.ts";
import type { Layout } from "./layout.ts";
import { type FileSystem, WholeFlush } from "./whole_flush.ts";

/** A store path whose file system can be flushed as a whole. */
interface Watched {
  readonly system: FileSystem;
  /** Actions up to this one were done before a flush that succeeded. */
  flushedTo: number;
}

/** See the module comment. */
export class WholeFlushes {
  readonly #layout: Layout;
  readonly #open: (folder: string) => FileSystem | undefined;
  readonly #paths = new Map<number, Watched | undefined>();
  #done = 0;

  /** @param open Opens a file system. */
  constructor(
    layout: Layout,
    open: (folder: string) => FileSystem | undefined = WholeFlush.open,
  ) {
    this.#layout = layout;
    this.#open = open;
  }

  /** An action was carried out just now. */
  done(action: Pending): void {
    action.doneAs = ++this.#done;
    // At the first one: errors from now on are reported.
    this.#of(action.pathIndex);
  }

  /** A path may be another disk now. */
  renew(pathIndex: number): void {
    this.#paths.get(pathIndex)?.system.close();
    this.#paths.delete(pathIndex);
  }

  /** Whether its file system can be flushed as a whole. */
  isPossible(pathIndex: number): boolean {
    return this.#of(pathIndex) !== undefined;
  }

  /** Whether all of these were done before a flush of this path. */
  areFlushed(actions: readonly Pending[], pathIndex: number): boolean {
    const { flushedTo = 0 } = this.#of(pathIndex) ?? {};
    return actions.every(({ doneAs = Infinity }) => doneAs <= flushedTo);
  }

  /**
   * Flush a path.
   *
   * @throws `Error` A write to its file system failed.
   */
  async flush(pathIndex: number): Promise<void> {
    const watched = this.#of(pathIndex);
    if (watched === undefined) return;
    const doneTo = this.#done;
    await watched.system.flush();
    watched.flushedTo = doneTo;
  }

  /**
   * Whether a file lies on the file system of its path, not on another one that
   * is mounted or linked below it.
   *
   * @throws `NotFound` It is not there.
   */
  has(path: string, pathIndex: number): boolean {
    const { dev } = Deno.statSync(path);
    return dev === this.#of(pathIndex)?.system.device;
  }

  #of(pathIndex: number): Watched | undefined {
    if (this.#paths.has(pathIndex)) return this.#paths.get(pathIndex);
    const system = this.#open(this.#layout.data(pathIndex));
    const watched = system && { system, flushedTo: 0 };
    this.#paths.set(pathIndex, watched);
    return watched;
  }

  /** Let go of all. */
  close(): void {
    for (const watched of this.#paths.values()) watched?.system.close();
    this.#paths.clear();
  }
}
