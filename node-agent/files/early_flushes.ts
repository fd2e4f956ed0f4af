/**
 * The store worker's side of `early_files.ts`: which of those files are not on the
 * disk yet, and the flush of their file systems before their records are flushed.
 *
 * @module
 */

import { describeError } from "./disk.ts";
import { isEarly, parseEarlyToken } from "./early_token.ts";
import type { Pending } from "./file_actions.ts";
import type { Flusher } from "./flusher.ts";

/** Key of the last action that was flushed, in the state table. */
export const FLUSHED_KEY = "flushed";

/** A flush that takes longer than this and what our bytes may is slow, in ms. */
const SLOW_MS = 100;
/**
 * One slow flush alone may have had much to do that lay there, as the first one
 * in a run and the first one after a pause. A second one within so many times as
 * long as it takes itself is told of, and the pause is as long: a sixth of the
 * time, at most, is spent in such flushes.
 */
const PAUSE_PER_FLUSH = 10;
/** After a file system that stood still, in ms. */
const PAUSE_MS_MAX = 600_000;
/** What a disk takes at least. */
const BYTES_PER_MS = 100_000;

/** What flushes are made with. */
export interface EarlyFlushesParts {
  readonly flusher: Pick<Flusher, "flushHere">;
  /** Whether a store path takes bytes. */
  readonly mayWrite: (pathIndex: number) => boolean;
  /** Flushes take long: write no such files for a time. */
  readonly slow: (pauseMs: number) => void;
}

/** For `BodyPlaces`. */
export class EarlyFlushes {
  readonly #parts: EarlyFlushesParts;
  /** Of transactions that were not flushed. */
  #unflushed: Pending[] = [];
  /**
   * When the last slow flush ended that was not told of, in monotonic ms. All
   * these paths lie on one file system (`isSuited`), so it is one for all.
   */
  #slowAtMs = -Infinity;

  /** Nothing waits yet. */
  constructor(parts: EarlyFlushesParts) {
    this.#parts = parts;
  }

  /** Whether anything waits for a flush. */
  get isDirty(): boolean {
    return this.#unflushed.length > 0;
  }

  /** Whether anything waits, or is among these. */
  has(actions: readonly Pending[]): boolean {
    return this.isDirty || actions.some(isOfEarly);
  }

  /**
   * A transaction is stored.
   *
   * @param durable Whether it was flushed, with what it did not flush itself.
   */
  stored(actions: readonly Pending[], durable: boolean): void {
    if (durable) this.#unflushed = [];
    else this.#unflushed.push(...actions.filter(isOfEarly));
  }

  /**
   * Before a transaction is flushed: flush its files, and those of earlier ones.
   * It may be tried once more; what failed is not.
   *
   * @param failed Paths that failed, and why; more are added.
   * @returns Actions whose files may never reach the disk.
   */
  sync(
    actions: readonly Pending[],
    failed: Map<number, string>,
  ): readonly Pending[] {
    const lost: Pending[] = [];
    const all = [...this.#unflushed, ...actions.filter(isOfEarly)];
    const byPath = Map.groupBy(all, ({ pathIndex }) => pathIndex);
    for (const [pathIndex, some] of byPath) {
      if (!failed.has(pathIndex)) {
        const reason = this.#flush(pathIndex, some);
        if (reason === undefined) continue;
        failed.set(pathIndex, `flush of new files: ${reason}`);
      }
      lost.push(...some);
    }
    return lost;
  }

  /** Why that failed, or `undefined`. */
  #flush(pathIndex: number, actions: readonly Pending[]): string | undefined {
    const { flusher, mayWrite } = this.#parts;
    // What a path has not got by the time of its fence it need never get.
    if (!mayWrite(pathIndex)) return "the path was fenced";
    const beganMs = performance.now();
    try {
      flusher.flushHere(pathIndex);
      return undefined;
    } catch (error) {
      return describeError(error);
    } finally {
      const flushMs = performance.now() - beganMs;
      const isSlow = flushMs > SLOW_MS + bytesOf(actions) / BYTES_PER_MS;
      if (isSlow) this.#wasSlow(beganMs, flushMs);
    }
  }

  #wasSlow(beganMs: number, flushMs: number): void {
    const pauseMs = Math.min(PAUSE_PER_FLUSH * flushMs, PAUSE_MS_MAX);
    const isAgain = beganMs - this.#slowAtMs < pauseMs;
    this.#slowAtMs = isAgain ? -Infinity : beganMs + flushMs;
    if (isAgain) this.#parts.slow(pauseMs);
  }
}

function bytesOf(actions: readonly Pending[]): number {
  let sizeBytes = 0;
  for (const { token } of actions) {
    sizeBytes += parseEarlyToken(token)?.sizeBytes ?? 0;
  }
  return sizeBytes;
}

function isOfEarly({ token }: Pending): boolean {
  return isEarly(token);
}
