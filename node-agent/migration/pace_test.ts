import assert from "node:assert/strict";
import { Pace } from "./pace.ts";

/** A pace whose waits are counted, not waited for. */
class CountingPace extends Pace {
  waitedMs = 0;
  override rest(ms: number): Promise<void> {
    this.waitedMs += Math.max(0, ms);
    return Promise.resolve();
  }
}

function paceOf(bytesPerS: number) {
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs, wallMs: () => 0 };
  const stop = new AbortController();
  return { clock, stop, pace: new CountingPace(clock, bytesPerS, stop.signal) };
}

Deno.test("bytes wait for those before them, at the rate", async () => {
  const { pace, clock } = paceOf(1000);
  await pace.take(500);
  assert.equal(pace.waitedMs, 0, "the first ones pass at once");
  await pace.take(1);
  assert.equal(pace.waitedMs, 500);
  clock.nowMs = 10_000;
  await pace.take(1000);
  assert.equal(pace.waitedMs, 500, "an idle second is not saved up");
  await pace.take(1);
  assert.equal(pace.waitedMs, 1500);
});

Deno.test("without a ceiling nothing waits; a stopped run goes nowhere", async () => {
  const { pace, stop } = paceOf(0);
  await pace.take(1e12);
  assert.equal(pace.waitedMs, 0);
  stop.abort(new Error("it was stopped"));
  await assert.rejects(pace.take(1), /it was stopped/);
  assert.throws(() => pace.check(), /it was stopped/);
});
