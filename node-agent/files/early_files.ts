/**
 * Writes bodies of middle size into their files at once, on the main isolate, so
 * that their bytes go to the system once: not into the quick log, a message, a
 * journal and a file one after the other.
 *
 * The file is a staging file, made whole before its record is written into the
 * quick log; the store worker gives it its name after the commit. Nothing flushes
 * it by itself: before records become durable, the file systems of all such files
 * are flushed as a whole (`body_places.ts`). So it is done only where that can be
 * done, on the file system of the database, and while many such bodies come;
 * elsewhere, and whenever anything is unusual, bodies go the longer way.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import { statfsSync } from "node:fs";
import { KIB, MIB } from "@kedge/schema";
import {
  describeError,
  isFull,
  isMissing,
  removeSync,
  writeNewSync,
} from "./disk.ts";
import { earlyToken } from "./early_token.ts";
import type { Layout } from "./layout.ts";
import { isWithDatabase } from "./path_gate.ts";
import type { Prepared } from "./preparer.ts";
import type { SlowDisks } from "./slow_disks.ts";
import type { StorePaths } from "./store_paths.ts";
import { canFlushWhole, WholeFlush } from "./whole_flush.ts";
import type { PathState } from "./worker_messages.ts";

/** When bodies are written at once. */
export interface EarlyLimits {
  /** Shorter ones go the longer way: with few clients they cost less there. */
  readonly sizeBytesMin: number;
  /** The same for those that come with others, as a peer's records do. */
  readonly togetherBytesMin: number;
  /** So many must have come within {@linkcode RUSH_MS}, for one flush of all. */
  readonly rushCount: number;
}

/** Usual limits. */
const LIMITS: EarlyLimits = {
  sizeBytesMin: 64 * KIB,
  togetherBytesMin: 16 * KIB,
  rushCount: 8,
};
/** So many are many: a file is made faster right after another one. */
const TOGETHER_COUNT = 4;
const RUSH_MS = 200;
/** Bytes that the store worker has not taken over yet, at most. */
const UNSTORED_BYTES_MAX = 64 * MIB;
/**
 * File systems that are used, as `statfs` has their types: ext2 to ext4, btrfs.
 * XFS puts a file where the folder is in which it was made, and all of these are
 * made in one.
 */
const TYPES = new Set([0xef53, 0x9123683e]);

/** What {@linkcode EarlyFiles} works with. */
export interface EarlyFilesParts {
  readonly layout: Layout;
  readonly paths: Pick<StorePaths, "stateOf">;
  readonly disks: SlowDisks;
  /** A write failed: the path takes no more bytes. */
  readonly onFence: (pathIndex: number, reason: string) => void;
  /** Files up to this size are packed, and need no file; 0: none are. */
  readonly packedBytesMax: () => number;
  /** For tests. */
  readonly limits?: EarlyLimits | undefined;
  /** For tests: whether it may be done on a store path. */
  readonly mayUse?: (layout: Layout, pathIndex: number) => boolean;
}

/** One store path. */
interface EarlyPath {
  /** What it was when it was looked at. */
  readonly state: PathState;
  readonly mayUse: boolean;
  unstoredBytes: number;
}

/** See the module comment. */
export class EarlyFiles {
  readonly #parts: EarlyFilesParts;
  readonly #limits: EarlyLimits;
  readonly #run = randomBytes(4).toString("hex");
  readonly #paths = new Map<number, EarlyPath>();
  #count = 0;
  /** Of all paths. */
  #unstoredBytes = 0;
  /** In monotonic ms. */
  #pausedUntilMs = -Infinity;
  /** When the last bodies came, oldest first, in monotonic ms. */
  readonly #came: number[] = [];

  /** Nothing is written yet. */
  constructor(parts: EarlyFilesParts) {
    this.#parts = parts;
    this.#limits = parts.limits ?? LIMITS;
  }

  /**
   * Write the body of a record into a staging file, if that may be done here.
   *
   * @param together How many records come with it, itself included.
   * @returns The record with that file as its content; else as it was given.
   */
  take(prepared: Prepared, together: number): Prepared {
    const { step, body } = prepared;
    const { sizeBytesMin, togetherBytesMin } = this.#limits;
    const isMany = together >= TOGETHER_COUNT;
    const bytesMin = isMany ? togetherBytesMin : sizeBytesMin;
    if (body === undefined || body.length < bytesMin) return prepared;
    if (body.length <= this.#parts.packedBytesMax()) return prepared;
    if (!this.#isRush()) return prepared;
    const { pathIndex, entry } = step;
    const path = this.#open(pathIndex, body.length);
    if (path === undefined) return prepared;
    const { sizeBytes, crc32 } = entry;
    const token = earlyToken(this.#run, ++this.#count, { sizeBytes, crc32 });
    if (!this.#write(pathIndex, token, body)) return prepared;
    path.unstoredBytes += sizeBytes;
    this.#unstoredBytes += sizeBytes;
    const facts = { token, pathIndex, crc32, sizeBytes, blockCrcs: null };
    const content = { kind: "whole", ...facts } as const;
    return { step: { ...step, content }, body: undefined };
  }

  #isRush(): boolean {
    const nowMs = this.#parts.disks.nowMs();
    this.#came.push(nowMs);
    if (this.#came.length < this.#limits.rushCount) return false;
    const firstMs = this.#came.shift() ?? nowMs;
    return nowMs - firstMs <= RUSH_MS;
  }

  /** The path, if its files may be written here now. */
  #open(pathIndex: number, sizeBytes: number): EarlyPath | undefined {
    const { disks, paths, layout } = this.#parts;
    const state = paths.stateOf(pathIndex);
    if (state?.state !== "writable" || disks.isSuspect(pathIndex)) return;
    if (this.#unstoredBytes + sizeBytes > UNSTORED_BYTES_MAX) return;
    if (disks.nowMs() < this.#pausedUntilMs) return;
    let path = this.#paths.get(pathIndex);
    if (path?.state !== state) {
      const { mayUse = isSuited } = this.#parts;
      path = {
        state,
        mayUse: mayUse(layout, pathIndex),
        unstoredBytes: path?.unstoredBytes ?? 0,
      };
      this.#paths.set(pathIndex, path);
    }
    return path.mayUse ? path : undefined;
  }

  #write(pathIndex: number, token: string, body: Uint8Array): boolean {
    const { disks, layout, onFence } = this.#parts;
    const path = layout.staged(pathIndex, token);
    const beganMs = disks.nowMs();
    try {
      writeNewSync(path, body);
      return true;
    } catch (error) {
      discard(path);
      // The store worker meets a missing disk again, and knows what to do.
      if (!isFull(error) && !isMissing(error)) {
        onFence(pathIndex, `write of a staging file: ${describeError(error)}`);
      }
      return false;
    } finally {
      disks.readHere(pathIndex, beganMs);
    }
  }

  /** The record was not stored: it goes the longer way. */
  drop({ step: { content } }: Prepared): void {
    if (content.kind !== "whole") return;
    const { pathIndex, token, sizeBytes } = content;
    discard(this.#parts.layout.staged(pathIndex, token));
    this.#forget(pathIndex, sizeBytes);
  }

  /** The database has the record. */
  stored({ step: { content } }: Pick<Prepared, "step">): void {
    if (content.kind !== "whole") return;
    this.#forget(content.pathIndex, content.sizeBytes);
  }

  #forget(pathIndex: number, sizeBytes: number): void {
    this.#unstoredBytes -= sizeBytes;
    const path = this.#paths.get(pathIndex);
    if (path !== undefined) path.unstoredBytes -= sizeBytes;
  }

  /** Flushes take long: somebody else writes much there. */
  pause(pauseMs: number): void {
    this.#pausedUntilMs = this.#parts.disks.nowMs() + pauseMs;
  }

  /**
   * Flush what the database did not get and never will in this run, once.
   *
   * @throws {Error} It may not outlive a loss of power.
   */
  async keep(): Promise<void> {
    const failed: string[] = [];
    for (const [pathIndex, { unstoredBytes }] of this.#paths) {
      if (unstoredBytes === 0) continue;
      try {
        await this.#flush(pathIndex);
      } catch (error) {
        failed.push(describeError(error));
      }
    }
    if (failed.length > 0) throw new Error(failed.join("; "));
  }

  async #flush(pathIndex: number): Promise<void> {
    const { layout, paths } = this.#parts;
    const folder = layout.data(pathIndex);
    // A flush that failed is not repeated: it would say that all is well.
    const isFenced = paths.stateOf(pathIndex)?.state !== "writable";
    const system = isFenced ? undefined : WholeFlush.open(folder);
    if (system === undefined) throw new Error(`${folder} cannot be flushed`);
    try {
      await system.flush();
    } finally {
      system.close();
    }
  }
}

/**
 * Whether a store path can be flushed as a whole, and lies with the database: to
 * write there holds up this thread no more than the quick log may anyhow.
 */
export function isSuited(layout: Layout, pathIndex: number): boolean {
  try {
    const folder = layout.data(pathIndex);
    return TYPES.has(statfsSync(folder).type >>> 0) &&
      isWithDatabase(layout, pathIndex) && canFlushWhole(folder);
  } catch {
    return false;
  }
}

function discard(path: string): void {
  try {
    removeSync(path);
  } catch {
    // Swept at the next start.
  }
}
