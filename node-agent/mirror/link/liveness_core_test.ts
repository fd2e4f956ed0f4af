/**
 * A connection is given up when its peer is gone, and only then.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Liveness } from "./liveness_core.ts";

const TIMES = { pingIntMs: 10_000, pingTimeoutMs: 500 };

/** Tick every 100 ms until something else than asking happens. */
function run(
  live: Liveness,
  span: { from: number; to: number },
  each: (nowMs: number) => void = () => {},
): string[] {
  const steps: string[] = [];
  for (let nowMs = span.from; nowMs <= span.to; nowMs += 100) {
    const step = live.tick(nowMs);
    if (step !== undefined) steps.push(`${step} ${nowMs}`);
    each(nowMs);
  }
  return steps;
}

const without = (steps: string[], word: string) =>
  steps.filter((step) => !step.startsWith(word));

Deno.test("an idle connection is pinged, and one that answers stays", () => {
  const live = new Liveness(TIMES, 0);
  const steps = run(live, { from: 0, to: 30_000 }, (ms) => live.heard(ms + 1));
  assert.deepEqual(steps, ["ping 10000", "ping 20000", "ping 30000"]);
});

Deno.test("a peer that is gone is silent after ping-timeout", () => {
  const live = new Liveness(TIMES, 0);
  const steps = run(live, { from: 0, to: 10_600 });
  assert.deepEqual(without(steps, "ask"), ["ping 10000", "silent 10600"]);
});

Deno.test("a pulse keeps a peer that answers no ping, for a while", () => {
  const live = new Liveness(TIMES, 0);
  const steps = run(live, { from: 0, to: 60_000 }, (ms) => live.pulsed(ms));
  const [ping, silent] = without(steps, "ask");
  assert.deepEqual([ping, silent], ["ping 10000", "silent 55100"]);
});

Deno.test("a pulse that ends is an end", () => {
  const live = new Liveness(TIMES, 0);
  const steps = run(live, { from: 0, to: 14_000 }, (ms) => {
    if (ms <= 12_000) live.pulsed(ms);
  });
  assert.equal(without(steps, "ask")[1], "silent 12600");
});

Deno.test("who stood still reads first what has come", () => {
  const live = new Liveness(TIMES, 0);
  run(live, { from: 0, to: 10_000 });
  assert.notEqual(live.tick(16_000), "silent"); // nothing ran for 6 s
  live.heard(16_010);
  assert.deepEqual(run(live, { from: 16_100, to: 19_900 }), []);
});

Deno.test("a lease is asked for by a ping at any time", () => {
  const live = new Liveness(TIMES, 0);
  assert.equal(live.tick(100, true), "ping");
  assert.equal(live.tick(150, true), undefined, "one at a time");
});
