/**
 * Brings files and the names in their folders to the disk.
 *
 * @module
 */

import { describeError, flush, flushContent, isMissing } from "./disk.ts";
import type { Pending } from "./file_actions.ts";
import type { FinisherEvents } from "./finisher.ts";
import { folderOf, type Layout } from "./layout.ts";
import { segmentOf } from "./packer.ts";

/** An action, and the path of its file. */
export interface Placed {
  readonly action: Pending;
  readonly path: string;
}

/** Flushes under way at once: the file system joins them. */
const FLUSHES_AT_ONCE = 32;

/** Flushes what actions did. */
export class Flusher {
  readonly #layout: Layout;
  readonly #newFolders: Set<string>;
  readonly #events: Pick<FinisherEvents, "fence">;

  /** Flush on these store paths; `newFolders` are those made lately. */
  constructor(
    layout: Layout,
    newFolders: Set<string>,
    events: Pick<FinisherEvents, "fence">,
  ) {
    this.#layout = layout;
    this.#newFolders = newFolders;
    this.#events = events;
  }

  /** Returns the store paths on which a flush failed. */
  async files(placed: readonly Placed[]): Promise<Set<number>> {
    const failed = new Set<number>();
    const paths = new Map<string, number>();
    for (const { action, path } of placed) {
      const { kind, token, pathIndex } = action;
      const segment = kind === "unlink" ? segmentOf(token) : undefined;
      if (segment !== undefined) {
        paths.set(this.#layout.segment(pathIndex, segment), pathIndex);
      } else if (kind !== "unlink") paths.set(path, pathIndex);
    }
    const queue = [...paths];
    const work = async () => {
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
        await this.#one(flushContent, ...next, failed);
      }
    };
    await Promise.all(Array.from({ length: FLUSHES_AT_ONCE }, work));
    return failed;
  }

  async #one(
    how: (path: string) => Promise<void>,
    path: string,
    pathIndex: number,
    failed: Set<number>,
  ): Promise<void> {
    if (failed.has(pathIndex)) return;
    try {
      await how(path);
    } catch (error) {
      // Deleted or moved meanwhile by a later action, which is settled later.
      if (isMissing(error)) return;
      failed.add(pathIndex);
      this.#events.fence(pathIndex, `flush: ${describeError(error)}`);
    }
  }

  /** Flush the folders of files, and of new folders above them. */
  async folders(
    placed: readonly Placed[],
    failed: Set<number>,
  ): Promise<void> {
    const folders = new Map<string, number>();
    for (const { action: { pathIndex, token }, path } of placed) {
      const folder = folderOf(path);
      folders.set(folder, pathIndex);
      if (token !== "") folders.set(this.#layout.staging(pathIndex), pathIndex);
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
