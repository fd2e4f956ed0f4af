import assert from "node:assert/strict";
import { FlushPace } from "./flush_pace_core.ts";

/** Flushes until one may be made in line; each takes so long, in ms. */
function untilInline(pace: FlushPace, ms: number): number {
  let count = 0;
  while (!pace.isInline && count < 1_000_000) {
    pace.took(ms);
    count++;
  }
  return count;
}

Deno.test("a disk is believed to be quick after many quick flushes", () => {
  assert.equal(untilInline(new FlushPace(), 0.1), 64);
});

Deno.test("a disk with any slow flush among them is not", () => {
  const pace = new FlushPace();
  for (let count = 0; count < 10_000; count++) {
    pace.took(count % 50 === 0 ? 2 : 0.1);
    assert.ok(!pace.isInline);
  }
});

Deno.test("one slow flush in line is the last, for longer each time", () => {
  const pace = new FlushPace();
  const needed: number[] = [];
  for (let count = 0; count < 12; count++) {
    needed.push(untilInline(pace, 0.1));
    pace.took(0.01);
    assert.ok(pace.isInline);
    pace.took(0.06);
    assert.ok(!pace.isInline);
  }
  assert.deepEqual(needed.slice(0, 4), [64, 128, 256, 512]);
  assert.deepEqual(needed.slice(-2), [65_536, 65_536]);
});
