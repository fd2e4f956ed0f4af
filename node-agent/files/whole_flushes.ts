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
  /** For flushes beside this thread. */
  readonly system: FileSystem;
  /** The same once more, for flushes on this thread. */
  readonly here: FileSystem;
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
    this.#close(this.#paths.get(pathIndex));
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
   * The same, on this thread; it says nothing of {@linkcode areFlushed}.
   *
   * @throws `Error` A write to its file system failed, or it cannot be flushed as
   * a whole.
   */
  flushHere(pathIndex: number): void {
    // Perhaps too much was open for a moment.
    if (this.#of(pathIndex) === undefined) this.#paths.delete(pathIndex);
    const watched = this.#of(pathIndex);
    if (watched === undefined) throw new Error("its folder cannot be opened");
    watched.here.flushHere();
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
    const watched = this.#watch(this.#layout.data(pathIndex));
    this.#paths.set(pathIndex, watched);
    return watched;
  }

  #watch(folder: string): Watched | undefined {
    const system = this.#open(folder);
    // Each tells of an error once: of what one has heard the other one must hear.
    const here = system && this.#open(folder);
    if (system !== undefined && here !== undefined) {
      return { system, here, flushedTo: 0 };
    }
    system?.close();
    return undefined;
  }

  /** Let go of all. */
  close(): void {
    for (const watched of this.#paths.values()) this.#close(watched);
    this.#paths.clear();
  }

  #close(watched: Watched | undefined): void {
    watched?.system.close();
    watched?.here.close();
  }
}
