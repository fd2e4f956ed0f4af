import assert from "node:assert/strict";
import { drawConfig } from "./plan.ts";
import { runSeed } from "./run.ts";
import { MUTANTS } from "./mutants.ts";

/** Seeds that may pass before a missing rule must have been noticed. */
const SEEDS_MAX = 4000;

for (const { name, rules, story } of MUTANTS) {
  Deno.test(`without the rule "${name}" the simulator finds a broken promise`, () => {
    for (let seed = 1; seed <= SEEDS_MAX; seed++) {
      const config = drawConfig(seed, story);
      if (runSeed(seed, { config, rules }).violation !== undefined) return;
    }
    assert.fail(`not noticed within ${SEEDS_MAX} seeds`);
  });
}
