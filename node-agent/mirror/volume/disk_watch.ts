/**
 * `disk-timeout`: what the disk takes too long for counts as failed.
 *
 * Most of what is asked of a disk is done in turn with everything else of a
 * Worker, which hangs as long as the disk does. So the Worker counts its turns
 * in shared memory, an odd number while one is under way, and the main isolate
 * sees one that does not end (`host/hang_watch.ts`).
 *
 * @module
 */

/** The disk answered, too late. */
export class LateDiskError extends Error {
  override readonly name = "LateDiskError";

  /** @param tookMs How long it took. */
  constructor(readonly tookMs: number) {
    super(`no answer for ${Math.round(tookMs)} ms (disk-timeout)`);
  }
}

/** See the module comment. */
export class DiskWatch {
  /** Longest time for one request, in ms; 0: for ever. */
  timeoutMs = 0;

  /** @param turns One counter; undefined: nobody looks at it. */
  constructor(readonly turns: Int32Array | undefined) {}

  /** Whether the disk may take so long only. */
  get isOn(): boolean {
    return this.timeoutMs > 0;
  }

  /**
   * Ask the disk for something.
   *
   * @throws {LateDiskError} It was done, but too late.
   */
  during(work: () => void): void {
    if (!this.isOn) return work();
    const beganMs = performance.now();
    this.#count();
    try {
      work();
    } finally {
      this.#count();
    }
    const tookMs = performance.now() - beganMs;
    if (tookMs > this.timeoutMs) throw new LateDiskError(tookMs);
  }

  /** Whether something that began then should have ended by now. */
  isLate(beganMs: number, nowMs: number): boolean {
    return this.isOn && nowMs - beganMs > this.timeoutMs;
  }

  #count(): void {
    if (this.turns !== undefined) Atomics.add(this.turns, 0, 1);
  }
}
