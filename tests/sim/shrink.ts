/**
 * Takes faults away from a failing run while it still fails.
 *
 * @module
 */

import fc from "fast-check";
import type { Config, Fault } from "./plan.ts";
import { runSeed } from "./run.ts";

/** Runs that may be spent. */
const RUNS_MAX = 400;

/**
 * The fewest faults with which a seed still breaks a promise, as far as
 * fast-check finds them.
 */
export function shrinkFaults(seed: number, config: Config): readonly Fault[] {
  const fails = (faults: readonly Fault[]) =>
    runSeed(seed, { config: { ...config, faults } }).violation !== undefined;
  const some = fc.subarray([...config.faults]);
  const found = fc.check(fc.property(some, (faults) => !fails(faults)), {
    numRuns: RUNS_MAX,
    seed,
  });
  let least = found.counterexample?.[0] ?? config.faults;
  // What is left is tried once more, one by one.
  for (const fault of least) {
    const without = least.filter((other) => other !== fault);
    if (fails(without)) least = without;
  }
  return least;
}
