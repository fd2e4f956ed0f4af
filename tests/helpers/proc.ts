/**
 * What the kernel says of a process: CPU time and memory, from `/proc`.
 *
 * @module
 */

/** Ticks per second of `/proc/PID/stat`; 100 on every Linux that Deno runs on. */
const TICKS_PER_S = 100;
/** Size of a page, in bytes, on x86-64 and most arm64. */
const PAGE_BYTES = 4096;

/** What a process has used so far. */
export interface Usage {
  /** CPU time of all its threads, in microseconds; steps of 10 ms. */
  readonly cpuUs: number;
  /** Resident memory now, in bytes. */
  readonly rssBytes: number;
  /** Threads now. */
  readonly threads: number;
}

/**
 * Read what a process has used.
 *
 * @param pid Process ID.
 * @throws {Deno.errors.NotFound} When it has ended.
 */
export function usageOf(pid: number): Usage {
  const text = Deno.readTextFileSync(`/proc/${pid}/stat`);
  // The name in parentheses may hold spaces: count fields after it.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const field = (index: number) => Number(fields[index] ?? 0);
  return {
    cpuUs: (field(11) + field(12)) * (1_000_000 / TICKS_PER_S),
    rssBytes: field(21) * PAGE_BYTES,
    threads: field(17),
  };
}

/** CPU time of several processes together, in microseconds. */
export function cpuUsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + usageOf(pid).cpuUs, 0);
}

/** Largest resident memory that a process ever had, in bytes. */
export function peakRssBytesOf(pid: number): number {
  const text = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
}

/** Whether a process runs (a zombie does not). */
export function isRunning(pid: number): boolean {
  try {
    const text = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return text.slice(text.lastIndexOf(")") + 2, text.lastIndexOf(")") + 3) !==
      "Z";
  } catch {
    return false;
  }
}

/** Processes whose parent is `pid`. */
export function childrenOf(pid: number): number[] {
  return Array.from(Deno.readDirSync("/proc"), ({ name }) => Number(name))
    .filter((child) => Number.isInteger(child) && parentOf(child) === pid);
}

function parentOf(pid: number): number | undefined {
  try {
    const text = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined;
  }
}
