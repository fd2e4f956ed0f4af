import assert from "node:assert/strict";
import { MIRROR_MUTANTS } from "./mutants.ts";
import { drawPlan } from "./plan.ts";
import { runMirror } from "./run.ts";
import { replayCommand, shrinkMirrorPlan } from "./shrink.ts";

Deno.test("a failing plan is shrunk to what it needs, and can be run again", () => {
  const mutant = MIRROR_MUTANTS.find(({ name }) =>
    name === "an extent is in the log before its first write"
  );
  assert.ok(mutant);
  const { sabotage } = mutant;
  for (let seed = 1;; seed++) {
    const drawn = drawPlan(seed);
    if (drawn.faults.length < 3) continue;
    if (runMirror(seed, { sabotage }).violation === undefined) continue;
    const change = shrinkMirrorPlan(seed, { sabotage });
    assert.ok((change.faults?.length ?? 0) < drawn.faults.length);
    const json = replayCommand(seed, change).match(/--plan '(.*)'$/)?.[1];
    const plan = { ...drawn, ...JSON.parse(json ?? "") };
    assert.notEqual(runMirror(seed, { plan, sabotage }).violation, undefined);
    return;
  }
});
