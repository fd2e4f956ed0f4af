/**
 * Waits until servers have done what a load left behind.
 *
 * @module
 */

import { cpuClockUsOf } from "../helpers/cpu_clock.ts";
import { pause } from "../helpers/eventually.ts";
import {
  type CpuSample,
  idleUsPerS,
  isOver,
  isQuiet,
  laterUs,
  type QuietRule,
} from "./settle_core.ts";

const SAMPLE_MS = 50;

/** What came after a load. */
export interface Settled {
  /** CPU of the servers beyond what they use when idle, in µs. */
  readonly laterUs: number;
  /** `false`: they were still busy at the deadline. */
  readonly isQuiet: boolean;
}

/** Wait until the servers are quiet, or the deadline has come. */
export async function settle(
  pids: readonly number[],
  rule: QuietRule,
): Promise<Settled> {
  const samples = [sample(pids)];
  while (!isOver(samples, rule)) {
    await pause(SAMPLE_MS);
    samples.push(sample(pids));
  }
  return {
    laterUs: laterUs(samples, rule.idleUsPerS),
    isQuiet: isQuiet(samples, rule),
  };
}

/** What servers use when nobody asks them anything, in µs of CPU per second. */
export async function watchIdle(
  pids: readonly number[],
  { forMs, windowMs }: { readonly forMs: number; readonly windowMs: number },
): Promise<number> {
  return idleUsPerS(await watch(pids, forMs), windowMs);
}

/** What servers use in a while beyond what they use when idle, in µs. */
export async function watchLater(
  pids: readonly number[],
  how: { readonly forMs: number; readonly idleUsPerS: number },
): Promise<number> {
  return laterUs(await watch(pids, how.forMs), how.idleUsPerS);
}

async function watch(
  pids: readonly number[],
  forMs: number,
): Promise<CpuSample[]> {
  const samples = [sample(pids)];
  const endMs = performance.now() + forMs;
  while (performance.now() < endMs) {
    await pause(SAMPLE_MS);
    samples.push(sample(pids));
  }
  return samples;
}

function sample(pids: readonly number[]): CpuSample {
  return { atMs: performance.now(), cpuUs: cpuClockUsOf(pids) };
}
