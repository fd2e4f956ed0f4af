/**
 * How fast background catching-up may go: a limit in bytes per second, a pause
 * per file (`sync_interval`), and hours of the day (`sync_start_time`,
 * `sync_end_time`), as in FastDFS. Never applied
 * to what an answer at level B or C waits for.
 *
 * The hours are read from the wall clock: they are for people, nothing depends
 * on them.
 *
 * @module
 */

import type { Clock } from "../ports.ts";

/** Limits of background catching-up. */
export interface PaceLimits {
  /** Bytes per second; 0 is no limit. */
  readonly bytesPerSecond: number;
  /** Pause for each file, in ms; none when missing. */
  readonly fileMs?: number;
  /** Minutes after local midnight, both included. */
  readonly startMinute: number;
  readonly endMinute: number;
}

/** No limit at all. */
export const NO_LIMITS: PaceLimits = {
  bytesPerSecond: 0,
  startMinute: 0,
  endMinute: 24 * 60 - 1,
};

/** How often the hours are looked at, in milliseconds. */
const LOOK_MS = 1000;

/** Whether a minute of the day lies within the hours, which may pass midnight. */
export function isWithinHours(minute: number, limits: PaceLimits): boolean {
  const { startMinute, endMinute } = limits;
  return startMinute <= endMinute
    ? minute >= startMinute && minute <= endMinute
    : minute >= startMinute || minute <= endMinute;
}

/** Hands out bytes. */
export class Pace {
  readonly #clock: Clock;
  readonly #limits: PaceLimits;
  /** Monotonic time from which on nothing is owed any more. */
  #freeMs = 0;
  #isStopped = false;

  /** A pace with nothing owed. */
  constructor(clock: Clock, limits: PaceLimits = NO_LIMITS) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Wait until so many bytes, of so many files, may go. */
  async take(bytes: number, files: number): Promise<void> {
    while (!this.#isStopped && !isWithinHours(this.#minute(), this.#limits)) {
      await pause(LOOK_MS);
    }
    const { bytesPerSecond, fileMs = 0 } = this.#limits;
    const costMs = files * fileMs +
      (bytesPerSecond === 0 ? 0 : bytes * 1000 / bytesPerSecond);
    const startMs = this.#clock.monotonicMs();
    const goMs = this.#freeMs;
    this.#freeMs = Math.max(goMs, startMs) + costMs;
    while (!this.#isStopped) {
      const waitMs = goMs - this.#clock.monotonicMs();
      if (waitMs <= 0) return;
      await pause(Math.min(waitMs, LOOK_MS));
    }
  }

  /** Nobody waits for the hours any more. */
  stop(): void {
    this.#isStopped = true;
  }

  #minute(): number {
    const now = new Date(this.#clock.wallMs());
    return now.getHours() * 60 + now.getMinutes();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
