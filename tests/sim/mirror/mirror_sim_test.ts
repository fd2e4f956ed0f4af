import assert from "node:assert/strict";
import { runMirror } from "./run.ts";
import { testSeeds } from "./seeds.ts";

testSeeds(0, 2);

Deno.test("mirror: a seed gives the same run twice", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const first = runMirror(seed);
    const second = runMirror(seed);
    assert.equal(second.hash, first.hash, `seed ${seed}`);
    assert.equal(second.events, first.events, `seed ${seed}`);
  }
});
