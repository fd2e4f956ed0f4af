/**
 * A closed loop: so many workers, each with one request under way, for a while.
 *
 * The client shares the cores with the servers, so wall-clock figures are a
 * lower bound; CPU time per operation counts the servers only.
 *
 * @module
 */

import { cpuClockUsOf } from "../helpers/cpu_clock.ts";
import { settle, type Settled } from "./settle.ts";
import type { QuietRule } from "./settle_core.ts";

/** Does one operation; `false` when there is nothing left. */
export interface Worker {
  (): Promise<boolean | void>;
  /** Lets go of its connections. */
  close?(): void;
}

/** What to run. */
export interface Load {
  /** Workers. */
  readonly concurrency: number;
  /** Stop after this long, in milliseconds. */
  readonly durationMs: number;
  /** Stop after so many operations at the latest. */
  readonly operationsMax?: number;
  /** Bytes of content per operation, for MB/s. */
  readonly bytesPerOperation: number;
  /** Processes whose CPU time counts. */
  readonly serverPids: readonly number[];
  /** One of them that is shown by itself: the tracker. */
  readonly trackerPid?: number | undefined;
  /** Count the CPU that comes after the load, too, until the servers are quiet. */
  readonly quiet?: QuietRule | undefined;
  /**
   * Make a worker ready.
   *
   * @returns Does one operation; returns `false` when there is nothing left.
   */
  worker(index: number): Promise<Worker>;
}

/** What came out. */
export interface Figures {
  readonly operations: number;
  readonly failures: number;
  /** First failure, for people. */
  readonly firstFailure: string | undefined;
  readonly perS: number;
  readonly mbPerS: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU time of the servers per operation, in microseconds. */
  readonly cpuUsPerOperation: number;
  /** The tracker's part of it, in microseconds. */
  readonly trackerUsPerOperation: number;
  /** With a {@linkcode Load.quiet}: the part of it that came after the load. */
  readonly laterUsPerOperation?: number;
  /** With a {@linkcode Load.quiet}: the servers were quiet before its deadline. */
  readonly isSettled?: boolean;
}

/** Run a load and measure it. */
export async function runLoad(load: Load): Promise<Figures> {
  const workers = await Promise.all(
    Array.from({ length: load.concurrency }, (_, i) => load.worker(i)),
  );
  const timesMs: number[] = [];
  let failures = 0;
  let firstFailure: string | undefined;
  let left = load.operationsMax ?? Infinity;
  const cpuUs = cpuClockUsOf(load.serverPids);
  const tracker = load.trackerPid === undefined ? [] : [load.trackerPid];
  const trackerUs = cpuClockUsOf(tracker);
  const beganMs = performance.now();
  const endMs = beganMs + load.durationMs;
  await Promise.all(workers.map(async (operate) => {
    while (performance.now() < endMs && left-- > 0) {
      const startMs = performance.now();
      try {
        if (await operate() === false) return;
        timesMs.push(performance.now() - startMs);
      } catch (error) {
        failures++;
        firstFailure ??= String(error);
        if (failures > 100) return;
      }
    }
  }));
  const durationS = (performance.now() - beganMs) / 1000;
  for (const worker of workers) worker.close?.();
  const usedUs = cpuClockUsOf(load.serverPids) - cpuUs;
  const usedByTrackerUs = cpuClockUsOf(tracker) - trackerUs;
  const after = load.quiet && await settle(load.serverPids, load.quiet);
  const operations = timesMs.length;
  timesMs.sort((a, b) => a - b);
  return {
    operations,
    failures,
    firstFailure,
    perS: operations / durationS,
    mbPerS: operations * load.bytesPerOperation / durationS / 1e6,
    p50Ms: quantile(timesMs, 0.5),
    p99Ms: quantile(timesMs, 0.99),
    cpuUsPerOperation: (usedUs + (after?.laterUs ?? 0)) /
      Math.max(1, operations),
    trackerUsPerOperation: usedByTrackerUs / Math.max(1, operations),
    ...after && laterFigures(after, operations),
  };
}

function laterFigures(
  { laterUs, isQuiet }: Settled,
  operations: number,
): Pick<Figures, "laterUsPerOperation" | "isSettled"> {
  return {
    laterUsPerOperation: laterUs / Math.max(1, operations),
    isSettled: isQuiet,
  };
}

/** The value below which a part of the sorted values lies. */
export function quantile(sorted: readonly number[], part: number): number {
  const index = Math.min(sorted.length - 1, Math.floor(sorted.length * part));
  return sorted[index] ?? NaN;
}
