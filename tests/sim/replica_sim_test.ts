import assert from "node:assert/strict";
import { missingMarks } from "./coverage.ts";
import { runSeed } from "./run.ts";

/** Runs of the whole file: about two minutes of one core. */
const SEEDS = Number(Deno.env.get("KEDGE_SIM_SEEDS") ?? 20_000);
/** Parts, so that progress can be seen. */
const PARTS = 4;

const marks = new Map<string, number>();

for (let part = 0; part < PARTS; part++) {
  const from = Math.floor(part * SEEDS / PARTS) + 1;
  const to = Math.floor((part + 1) * SEEDS / PARTS);
  Deno.test(`every promise holds under the faults of seeds ${from} to ${to}`, () => {
    for (let seed = from; seed <= to; seed++) {
      const result = runSeed(seed);
      for (const [name, count] of result.marks) {
        marks.set(name, (marks.get(name) ?? 0) + count);
      }
      const { violation } = result;
      const replay = `replay with: deno task sim --seed ${seed}`;
      assert.equal(violation, undefined, `${violation?.message}; ${replay}`);
    }
  });
}

Deno.test("every rare branch was taken in those runs", () => {
  assert.deepEqual(missingMarks(marks), []);
});

Deno.test("a seed gives the same run twice, whatever the wall clocks say", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const first = runSeed(seed);
    const second = runSeed(seed, { wallSeed: seed + 1_000_000 });
    assert.equal(second.hash, first.hash, `seed ${seed}`);
    assert.equal(second.events, first.events, `seed ${seed}`);
  }
});
