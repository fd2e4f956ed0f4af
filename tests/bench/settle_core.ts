/**
 * When servers have done what a load left behind, and what that cost: replicas
 * that lag, flushes, indexes. A load that ends is charged with it, and the next
 * one is not.
 *
 * ```text
 * CPU/s  ████▇▇                  load │ later            │ idle
 *        ██████▅▃▂▁   ▂▁                                  ▁▁▁▁▁▁▁▁
 *                                     counted until a whole window
 *                                     is as quiet as an idle system
 * ```
 *
 * @module
 */

/** What the servers have used by a moment. */
export interface CpuSample {
  readonly atMs: number;
  /** CPU time since they started, in microseconds. */
  readonly cpuUs: number;
}

/** When servers count as quiet. */
export interface QuietRule {
  /** What they use when nothing is asked of them, in µs of CPU per second. */
  readonly idleUsPerS: number;
  /**
   * They have been as quiet for this long, in milliseconds: longer than any
   * pause that a server makes before it goes on.
   */
  readonly windowMs: number;
  /** What comes later than this is not waited for, in milliseconds. */
  readonly deadlineMs: number;
}

/** Idle systems differ by this much from second to second. */
const NOISE_RATIO = 1.5;
/** And by this: 1 % of a core. */
const NOISE_US_PER_S = 10_000;

/** How busy a system may be that counts as quiet, in µs of CPU per second. */
export function quietUsPerS(idleUsPerS: number): number {
  return idleUsPerS * NOISE_RATIO + NOISE_US_PER_S;
}

/** Whether the last window was as quiet as an idle system. */
export function isQuiet(
  samples: readonly CpuSample[],
  { idleUsPerS, windowMs }: QuietRule,
): boolean {
  const last = samples.at(-1);
  if (last === undefined) return false;
  const first = samples.findLast(({ atMs }) => last.atMs - atMs >= windowMs);
  return first !== undefined &&
    rateOf(first, last) <= quietUsPerS(idleUsPerS);
}

/** Whether there is nothing to wait for any more. */
export function isOver(
  samples: readonly CpuSample[],
  rule: QuietRule,
): boolean {
  const passedMs = (samples.at(-1)?.atMs ?? 0) - (samples[0]?.atMs ?? 0);
  return passedMs >= rule.deadlineMs || isQuiet(samples, rule);
}

/**
 * What the servers used beyond what they use when idle, in µs.
 *
 * @param samples From the end of the load on.
 */
export function laterUs(
  samples: readonly CpuSample[],
  idleUsPerS: number,
): number {
  const first = samples[0];
  const last = samples.at(-1);
  if (first === undefined || last === undefined) return 0;
  const idleUs = idleUsPerS * (last.atMs - first.atMs) / 1000;
  return Math.max(0, last.cpuUs - first.cpuUs - idleUs);
}

/**
 * What servers use when idle, in µs of CPU per second: the least of any window,
 * as some of the samples may still see what came before.
 *
 * @returns `Infinity` when no window fits into the samples.
 */
export function idleUsPerS(
  samples: readonly CpuSample[],
  windowMs: number,
): number {
  const rates = samples.flatMap((first) => {
    const last = samples.find(({ atMs }) => atMs - first.atMs >= windowMs);
    return last === undefined ? [] : [rateOf(first, last)];
  });
  return Math.min(Infinity, ...rates);
}

function rateOf(first: CpuSample, last: CpuSample): number {
  return (last.cpuUs - first.cpuUs) * 1000 / (last.atMs - first.atMs);
}
