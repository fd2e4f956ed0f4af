/**
 * CPU time of other processes to the nanosecond: the kernel's clock of each
 * process, which counts threads that have ended, too (`clock_getcpuclockid`).
 * `/proc/PID/stat` has steps of 10 ms, too coarse for what an idle process uses.
 *
 * @module
 */

import { usageOf } from "./proc.ts";

const SYMBOLS = {
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
} as const;

type Clock = (pid: number) => number | undefined;

let clock: Clock | undefined;

/**
 * CPU time of several processes together, in microseconds.
 *
 * @throws {Deno.errors.NotFound} When one of them has ended.
 */
export function cpuClockUsOf(pids: readonly number[]): number {
  const read = clock ??= openClock();
  return pids.reduce((sum, pid) => sum + (read(pid) ?? usageOf(pid).cpuUs), 0);
}

/** Without the GNU C library: never an answer. */
function openClock(): Clock {
  try {
    const { symbols } = Deno.dlopen("libc.so.6", SYMBOLS);
    const time = new BigInt64Array(2);
    const bytes = new Uint8Array(time.buffer);
    return (pid) => {
      if (symbols.clock_gettime(clockOf(pid), bytes) !== 0) return undefined;
      return Number(time[0] ?? 0n) * 1e6 + Number(time[1] ?? 0n) / 1e3;
    };
  } catch {
    return () => undefined;
  }
}

/** The number of a process's clock: 2 is what its scheduler counted. */
function clockOf(pid: number): number {
  return (~pid << 3) | 2;
}
