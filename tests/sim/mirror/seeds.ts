/**
 * The seeds that CI runs, in parts that run beside one another.
 *
 * @module
 */

import assert from "node:assert/strict";
import { missingMirrorMarks } from "./coverage.ts";
import { drawPlan } from "./plan.ts";
import { runMirror } from "./run.ts";
import { replayCommand, shrinkMirrorPlan } from "./shrink.ts";

/** Seeds of all files together. */
const SEEDS = Number(Deno.env.get("KEDGE_MIRROR_SEEDS") ?? 20_000);
/** Files that share them. */
const FILES = 4;
/** Parts of a file, so that progress can be seen. */
const PARTS = 4;
/** Seeds that break a promise for a known reason; a fix takes its seed out. */
const KNOWN: ReadonlySet<number> = new Set([]);
/** Fewer seeds than this need not take every rare branch. */
const SEEDS_FOR_COVERAGE = 4_000;
/** Every so many seeds one is run twice, and must do the very same. */
const TWICE_EVERY = 100;

interface Sums {
  readonly marks: Map<string, number>;
  events: number;
  ms: number;
}

/** Register the tests of one of the files, counted from 0. */
export function testSeeds(file: number): void {
  const sums: Sums = { marks: new Map(), events: 0, ms: 0 };
  const count = Math.floor(SEEDS / FILES);
  const first = file * count + 1;
  for (let part = 0; part < PARTS; part++) {
    const from = first + Math.floor(part * count / PARTS);
    const to = first + Math.floor((part + 1) * count / PARTS) - 1;
    Deno.test(`mirror: every promise holds under the faults of seeds ${from} to ${to}`, () => {
      for (let seed = from; seed <= to; seed++) {
        if (!KNOWN.has(seed)) runOne(seed, sums);
      }
      if (part === PARTS - 1) say(count, sums);
    });
  }
  Deno.test({
    name: `mirror: every rare branch was taken from seed ${first} on`,
    ignore: count < SEEDS_FOR_COVERAGE,
    fn: () => assert.deepEqual(missingMirrorMarks(sums.marks), []),
  });
}

function runOne(seed: number, sums: Sums): void {
  const startedMs = performance.now();
  const result = runMirror(seed);
  sums.ms += performance.now() - startedMs;
  sums.events += result.events;
  for (const [name, count] of result.marks) {
    sums.marks.set(name, (sums.marks.get(name) ?? 0) + count);
  }
  if (result.violation !== undefined) {
    assert.fail(explain(seed, result.violation.message));
  }
  if (seed % TWICE_EVERY === 0) {
    assert.equal(runMirror(seed).hash, result.hash, `seed ${seed} differs`);
  }
}

function explain(seed: number, message: string): string {
  const change = shrinkMirrorPlan(seed);
  const plan = { ...drawPlan(seed), ...change };
  const needs = [
    ...plan.faults,
    ...plan.losses,
    ...plan.growth?.steps ?? [],
    ...plan.hangs?.list ?? [],
  ].map((each) => JSON.stringify(each));
  return [
    `seed ${seed}: ${message}`,
    `It needs ${needs.length === 0 ? "no fault" : needs.join(", ")}`,
    `Replay: deno task sim mirror --seed ${seed}`,
    `Shrunk: ${replayCommand(seed, change)}`,
  ].join("\n");
}

/** A slow simulator finds fewer bugs; 100,000 events/s are planned for. */
function say(count: number, { events, ms }: Sums): void {
  const line = `mirror: ${count} seeds, ${events} events, ` +
    `${Math.round(events / ms)}k events/s\n`;
  Deno.stderr.writeSync(new TextEncoder().encode(line));
}
