/**
 * Takes away from a failing run what it does not need: faults first, then what
 * people do, then clients. What is left is printed as a plan to replay.
 *
 * @module
 */

import fc from "fast-check";
import { drawPlan, type MirrorPlan, type OperatorPlan } from "./plan.ts";
import { NO_EXTRAS } from "./plan_extras.ts";
import { runMirror } from "./run.ts";
import type { Sabotage } from "./world.ts";

/** Runs that fast-check may spend on the faults. */
const RUNS_MAX = 300;

/** What a plan has that differs from the one that its seed draws. */
export type PlanChange = Partial<MirrorPlan>;

/** The smallest change of a seed's plan that still breaks a promise. */
export function shrinkMirrorPlan(
  seed: number,
  options: { readonly plan?: MirrorPlan; readonly sabotage?: Sabotage } = {},
): PlanChange {
  const drawn = options.plan ?? drawPlan(seed);
  const { sabotage = {} } = options;
  const fails = (change: PlanChange) => {
    const plan = { ...drawn, ...change };
    return runMirror(seed, { plan, sabotage }).violation !== undefined;
  };
  let least: PlanChange = fewerFaults(drawn, seed, fails);
  for (const change of simplifications(drawn)) {
    const tried = merged(drawn, least, change);
    if (fails(tried)) least = tried;
  }
  return least;
}

/** The command that runs a shrunk plan again, with its trace. */
export function replayCommand(seed: number, change: PlanChange): string {
  const command = `deno task sim mirror --seed ${seed}`;
  if (Object.keys(change).length === 0) return command;
  return `${command} --plan '${JSON.stringify(change)}'`;
}

function fewerFaults(
  drawn: MirrorPlan,
  seed: number,
  fails: (change: PlanChange) => boolean,
): PlanChange {
  const some = fc.record({
    faults: fc.subarray([...drawn.faults]),
    losses: fc.subarray([...drawn.losses]),
  });
  const found = fc.check(fc.property(some, (change) => !fails(change)), {
    numRuns: RUNS_MAX,
    seed,
  });
  let { faults, losses } = found.counterexample?.[0] ?? drawn;
  // What is left is tried once more, one by one.
  for (const fault of faults) {
    const without = faults.filter((other) => other !== fault);
    if (fails({ faults: without, losses })) faults = without;
  }
  for (const loss of losses) {
    const without = losses.filter((other) => other !== loss);
    if (fails({ faults, losses: without })) losses = without;
  }
  return { faults, losses };
}

/** Simpler circumstances, each on its own. */
function simplifications(drawn: MirrorPlan): readonly SomeChange[] {
  const { losses: _, ...extras } = NO_EXTRAS;
  const rates = Object.keys(drawn.operator).filter((name) =>
    name !== "everyMs" && drawn.operator[name as keyof OperatorPlan] > 0
  );
  const { growth, hangs } = drawn;
  return [
    ...(growth === undefined ? [] : [{ growth: { ...growth, steps: [] } }]),
    ...(hangs === undefined ? [] : [{ hangs: { ...hangs, list: [] } }]),
    ...(drawn.stuck === undefined
      ? []
      : [{ stuck: { ...drawn.stuck, atMs: 1e9 } }]),
    { metaLiar: -1 },
    { metaRots: [] },
    ...rates.map((name) => ({ operator: { [name]: 0 } })),
    extras,
    { clocks: [1, 1] },
    { registerLoss: 0 },
    { clients: 1 },
    { depth: 1 },
    { readShare: 0 },
    { zeroShare: 0 },
    { flushShare: 0 },
    { startsNew: false },
    { hasChecksums: false },
    { workMs: Math.round(drawn.workMs / 2) },
  ];
}

type SomeChange = Omit<PlanChange, "operator"> & {
  readonly operator?: Partial<OperatorPlan>;
};

function merged(
  drawn: MirrorPlan,
  least: PlanChange,
  { operator, ...rest }: SomeChange,
): PlanChange {
  if (operator === undefined) return { ...least, ...rest };
  const before = least.operator ?? drawn.operator;
  return { ...least, operator: { ...before, ...operator } };
}
