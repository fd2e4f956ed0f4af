import assert from "node:assert/strict";
import { MIRROR_MUTANTS } from "./mutants.ts";
import { drawPlan } from "./plan.ts";
import { runMirror } from "./run.ts";

/** Seeds that may pass before a missing rule must have been noticed. */
const SEEDS_MAX = 3_000;

for (const { name, plan, beyond, sabotage } of MIRROR_MUTANTS) {
  Deno.test(`without "${name}" the mirror's simulator finds a broken promise`, () => {
    for (let seed = 1; seed <= SEEDS_MAX; seed++) {
      const drawn = { ...drawPlan(seed), ...plan };
      const { violation } = runMirror(seed, {
        plan: { ...drawn, ...beyond },
        sabotage,
      });
      // It must be the missing rule that was noticed.
      const isKept = violation !== undefined &&
        runMirror(seed, { plan: drawn }).violation === undefined;
      if (isKept) return;
    }
    assert.fail(`not noticed within ${SEEDS_MAX} seeds`);
  });
}
