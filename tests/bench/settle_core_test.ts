import assert from "node:assert/strict";
import {
  type CpuSample,
  idleUsPerS,
  isOver,
  isQuiet,
  laterUs,
  type QuietRule,
  quietUsPerS,
} from "./settle_core.ts";

const RULE: QuietRule = {
  idleUsPerS: 20_000,
  windowMs: 1000,
  deadlineMs: 4000,
};

/** Samples of 100 ms, with so many ms of CPU between one and the next. */
function samples(...usedMs: number[]): CpuSample[] {
  let cpuUs = 7_000_000;
  return [0, ...usedMs].map((used, i) => ({
    atMs: 500 + i * 100,
    cpuUs: cpuUs += used * 1000,
  }));
}

const times = (n: number, usedMs: number) => Array<number>(n).fill(usedMs);

Deno.test("isQuiet() needs a whole window", () => {
  assert.equal(isQuiet([], RULE), false);
  assert.equal(isQuiet(samples(...times(9, 2)), RULE), false);
  assert.equal(isQuiet(samples(...times(10, 2)), RULE), true);
});

Deno.test("isQuiet() looks at the last window only", () => {
  assert.equal(
    isQuiet(samples(...times(10, 150), ...times(9, 2)), RULE),
    false,
  );
  assert.equal(
    isQuiet(samples(...times(10, 150), ...times(10, 2)), RULE),
    true,
  );
});

Deno.test("isQuiet() sees work that comes after a pause", () => {
  // A replica that is told once a second: quiet for 900 ms, then busy again.
  const paused = samples(...times(9, 2), 90);
  assert.equal(isQuiet(paused, RULE), false);
  const more = samples(...times(9, 2), 90, ...times(10, 2));
  assert.equal(isQuiet(more, RULE), true);
  assert.equal(laterUs(more, RULE.idleUsPerS), 88_000);
});

Deno.test("isQuiet() allows for noise, and not for work", () => {
  const limitMs = quietUsPerS(RULE.idleUsPerS) / 10_000;
  assert.equal(isQuiet(samples(...times(10, limitMs)), RULE), true);
  assert.equal(isQuiet(samples(...times(10, limitMs + 0.1)), RULE), false);
});

Deno.test("isOver() gives up at the deadline", () => {
  assert.equal(isOver(samples(...times(39, 150)), RULE), false);
  assert.equal(isOver(samples(...times(40, 150)), RULE), true);
  assert.equal(isOver(samples(...times(10, 2)), RULE), true);
  assert.equal(isOver([], RULE), false);
});

Deno.test("laterUs() leaves out what an idle system uses", () => {
  assert.equal(laterUs(samples(...times(10, 2)), RULE.idleUsPerS), 0);
  // 1 s of one core and 1 s of idling: all but 2 s of idling.
  const caughtUp = samples(...times(10, 100), ...times(10, 2));
  assert.equal(laterUs(caughtUp, RULE.idleUsPerS), 980_000);
  assert.equal(laterUs([], RULE.idleUsPerS), 0);
});

Deno.test("laterUs() is never negative", () => {
  assert.equal(laterUs(samples(...times(10, 1)), RULE.idleUsPerS), 0);
});

Deno.test("idleUsPerS() passes over what is left of the warm-up", () => {
  const watched = samples(...times(8, 60), ...times(10, 2), 9, 2, 2);
  assert.equal(idleUsPerS(watched, 1000), 20_000);
});

Deno.test("idleUsPerS() does not guess from less than a window", () => {
  assert.equal(idleUsPerS(samples(2, 2), 1000), Infinity);
});
