/**
 * Which store paths are slow now, or answer nothing: there no read is made in the
 * event loop, for a disk that hangs would take the whole agent with it.
 *
 * A path is suspected while a read or flush on it, or a batch of the store worker
 * (whichever path that waits for), is under way for too long, and for a while
 * after a read that took long.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import { hexByte } from "@kedge/schema/file-id";

/** An operation beside the event loop is slow from this on, in ms. */
export const SLOW_MS = 500;
/** A read in the event loop is: all others waited for it. */
export const SLOW_HERE_MS = 100;
/** How long a path is suspected after that, in ms. */
export const SUSPECT_LIFE_MS = 10_000;
/** A disk that answers nothing for so long hangs, in ms. */
export const HANGS_MS = 5_000;
/**
 * Reads that may wait for a disk that hangs. Each holds one of the 32 threads that
 * the runtime has for files, also those of other disks.
 */
const STUCK_READS_MAX = 8;

/** One store path. */
interface Disk {
  /** When each operation under way began, in monotonic ms, oldest first. */
  readonly began: Set<{ readonly atMs: number }>;
  /** When the last slow one was seen. */
  slowAtMs: number;
}

/** Watches the store paths of one store. */
export class SlowDisks {
  /** Monotonic time, in milliseconds. */
  readonly nowMs: () => number;
  readonly #disks: Disk[] = [];
  /** How long the store worker has been busy with one batch, in ms. */
  workerBusyMs: () => number = () => 0;

  /**
   * Nothing is suspected yet.
   *
   * @param nowMs Monotonic time, in milliseconds.
   */
  constructor(nowMs: () => number) {
    this.nowMs = nowMs;
  }

  #disk(pathIndex: number): Disk {
    return this.#disks[pathIndex] ??= {
      began: new Set(),
      slowAtMs: -Infinity,
    };
  }

  /** How long the oldest operation under way has been waiting, in ms. */
  #waitingMs({ began }: Disk, nowMs: number): number {
    for (const { atMs } of began) return nowMs - atMs;
    return 0;
  }

  /** Whether a path may not be read in the event loop. */
  isSuspect(pathIndex: number): boolean {
    const disk = this.#disk(pathIndex);
    const nowMs = this.nowMs();
    const waitingMs = Math.max(
      this.#waitingMs(disk, nowMs),
      this.workerBusyMs(),
    );
    return waitingMs >= SLOW_MS || nowMs - disk.slowAtMs < SUSPECT_LIFE_MS;
  }

  /** A read in the event loop began then and has ended. */
  readHere(pathIndex: number, beganMs: number): void {
    const nowMs = this.nowMs();
    if (nowMs - beganMs < SLOW_HERE_MS) return;
    this.#disk(pathIndex).slowAtMs = nowMs;
  }

  /**
   * Do something short on a path in the event loop, unless it is suspected.
   *
   * @returns Whether it was done.
   */
  here(pathIndex: number, work: () => void): boolean {
    if (this.isSuspect(pathIndex)) return false;
    const beganMs = this.nowMs();
    try {
      work();
    } finally {
      this.readHere(pathIndex, beganMs);
    }
    return true;
  }

  /** Flush something on a path beside the event loop: that may take its time. */
  async flush(pathIndex: number, work: () => Promise<void>): Promise<void> {
    const { began } = this.#disk(pathIndex);
    const mark = { atMs: this.nowMs() };
    began.add(mark);
    try {
      await work();
    } finally {
      began.delete(mark);
    }
  }

  /**
   * Read from a path beside the event loop.
   *
   * @throws {Problem} `unavailable` when the disk hangs.
   */
  async read<Result>(
    pathIndex: number,
    work: () => Promise<Result>,
  ): Promise<Result> {
    const disk = this.#disk(pathIndex);
    const mark = { atMs: this.nowMs() };
    const waitingMs = this.#waitingMs(disk, mark.atMs);
    if (waitingMs >= HANGS_MS && disk.began.size >= STUCK_READS_MAX) {
      throw new Problem(
        "unavailable",
        `The disk of store path M${hexByte(pathIndex)} has answered nothing ` +
          `for ${Math.floor(waitingMs / 1000)} s`,
      );
    }
    disk.began.add(mark);
    try {
      return await work();
    } finally {
      disk.began.delete(mark);
      const nowMs = this.nowMs();
      if (nowMs - mark.atMs >= SLOW_MS) disk.slowAtMs = nowMs;
    }
  }
}
