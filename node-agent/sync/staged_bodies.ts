/**
 * Bodies that a peer has sent ahead of their record, found again by length and
 * SHA-256. What no record claims in time is thrown away.
 *
 * @module
 */

import type { Clock, LocalFiles, Staged } from "../ports.ts";

/** How long a body waits for its record, in milliseconds. */
const WAIT_MS = 60_000;
/** Most bodies that wait. */
const BODIES_MAX = 256;

interface Waiting {
  readonly staged: Staged;
  readonly sinceMs: number;
}

/** See the module comment. */
export class StagedBodies {
  readonly #files: LocalFiles;
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Waiting[]>();
  #count = 0;

  /** Nothing waits yet. */
  constructor(files: LocalFiles, clock: Clock) {
    this.#files = files;
    this.#clock = clock;
  }

  /** Bodies that wait. */
  get count(): number {
    return this.#count;
  }

  /** Whether one more may come. */
  get hasRoom(): boolean {
    return this.#count < BODIES_MAX;
  }

  /** Keep a body until its record comes. */
  add(staged: Staged): void {
    const key = keyOf(staged);
    const same = this.#waiting.get(key) ?? [];
    same.push({ staged, sinceMs: this.#clock.monotonicMs() });
    this.#waiting.set(key, same);
    this.#count++;
  }

  /** Take the body that a record names; the caller owns it then. */
  take(body: Pick<Staged, "sizeBytes" | "sha256">): Staged | undefined {
    const key = keyOf(body);
    const same = this.#waiting.get(key);
    const taken = same?.shift();
    if (taken === undefined) return undefined;
    if (same?.length === 0) this.#waiting.delete(key);
    this.#count--;
    return taken.staged;
  }

  /** Throw away what waited too long. */
  tick(nowMs: number): void {
    for (const same of this.#waiting.values()) {
      const oldest = same[0];
      if (oldest === undefined || nowMs - oldest.sinceMs < WAIT_MS) continue;
      const late = this.take(oldest.staged);
      if (late !== undefined) void this.#files.discard(late);
    }
  }

  /** Throw everything away. */
  async close(): Promise<void> {
    const all = [...this.#waiting.values()].flat();
    this.#waiting.clear();
    this.#count = 0;
    for (const { staged } of all) await this.#files.discard(staged);
  }
}

function keyOf(body: Pick<Staged, "sizeBytes" | "sha256">): string {
  return `${body.sizeBytes}:${body.sha256}`;
}
