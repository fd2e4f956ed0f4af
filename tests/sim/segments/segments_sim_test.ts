import assert from "node:assert/strict";
import { Broken } from "./check.ts";
import { type Crash, run, type RunFacts, runRestored } from "./run.ts";
import type { Mutation } from "./faults.ts";

/** Seeds of which every single step is a crash once. */
const EVERY_STEP_SEEDS = 12;
/** Seeds with many crashes and failing disks. */
const ROUGH_SEEDS = Number(Deno.env.get("KEDGE_SEEDS") ?? 3_000);

Deno.test("a crash at any step loses no packed file and brings none back", () => {
  let runs = 0;
  for (let seed = 1; seed <= EVERY_STEP_SEEDS; seed++) {
    const { steps } = run({ seed });
    const kinds: readonly Crash[] = ["kill", "power"];
    for (const kind of kinds) {
      for (let at = 1; at <= steps; at++) {
        told({ seed, crash: { at, kind } });
        runs++;
      }
    }
  }
  assert(runs > 2000, `${runs} runs`);
});

Deno.test("many crashes, full and failing disks lose no packed file", () => {
  let [crashes, faults, compacted] = [0, 0, 0];
  for (let seed = 1; seed <= ROUGH_SEEDS; seed++) {
    const facts = told({ seed, crashChance: 0.02, hasFaults: true });
    crashes += facts.crashes;
    faults += facts.faults;
    compacted += facts.compacted;
  }
  const each = ROUGH_SEEDS / 2;
  assert(
    crashes > each && faults > each && compacted > each,
    [
      `${crashes} crashes, ${faults} faults, ${compacted} segments given back`,
    ].join(),
  );
});

Deno.test("an older database takes no record away that it needs", () => {
  let needed = 0;
  for (let seed = 1; seed <= ROUGH_SEEDS; seed++) {
    needed += runRestored({ seed });
  }
  assert(needed > ROUGH_SEEDS / 10, `${needed} files were at stake`);
  assert.throws(() => {
    for (let seed = 1; seed <= ROUGH_SEEDS; seed++) {
      runRestored({ seed, mutation: "what is known is cut" });
    }
  }, Broken);
});

/** A failure names the run that shows it again. */
function told(options: Parameters<typeof run>[0]): RunFacts {
  try {
    return run(options);
  } catch (error) {
    throw new Error(`${JSON.stringify(options)}: ${error}`, { cause: error });
  }
}

const MUTATIONS: readonly (readonly [Mutation, RegExp])[] = [
  ["copies are not flushed", /lost/],
  ["moves are not flushed", /lost/],
  ["named segments are removed", /lost/],
  ["deleted files are moved", /has a place/],
  ["leftovers stay at a start", /comes back/],
  ["leftovers stay when a path is mended", /comes back/],
  ["failed appends stay", /comes back/],
  ["unknown commits are taken back", /lost/],
  ["repaired records are not marked", /comes back/],
  ["moved records are not marked", /comes back/],
  ["later segments go first", /comes back/],
  ["lost ends are resumed", /./],
  ["nothing is compacted", /not given back/],
];

for (const [mutation, symptom] of MUTATIONS) {
  Deno.test(`the checkers notice when ${mutation}`, () => {
    assert.throws(() => {
      for (let seed = 1; seed <= ROUGH_SEEDS; seed++) {
        run({ seed, crashChance: 0.02, hasFaults: true, mutation });
      }
    }, (error) => error instanceof Broken && symptom.test(error.message));
  });
}
