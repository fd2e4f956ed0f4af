import assert from "node:assert/strict";
import fc from "fast-check";
import { sight, type Sighting, silentMsOf } from "./liveness.ts";

const HEARTBEAT_MS = 1000;
const READ_MS = 250;

Deno.test("a tracker that reads all the time is right under any clock skew", () => {
  const anySkewMs = fc.integer({ min: -(10 ** 9), max: 10 ** 9 });
  fc.assert(fc.property(anySkewMs, fc.nat(20), (skewMs, diesAfter) => {
    let known: Sighting | undefined;
    let previousMs: number | undefined;
    let lastBeatMs = 0;
    for (let nowMs = 0; nowMs <= 30_000; nowMs += READ_MS) {
      const beats = Math.min(Math.floor(nowMs / HEARTBEAT_MS), diesAfter);
      lastBeatMs = beats * HEARTBEAT_MS;
      const wallMs = 10 ** 12 + nowMs;
      const heardMs = 10 ** 12 + lastBeatMs + skewMs;
      known = sight(known, { version: `${beats}`, heardMs }, {
        nowMs,
        previousMs,
        wallMs,
      });
      previousMs = nowMs;
      if (beats === 0) continue; // the first sight has only the clocks
      const error = silentMsOf(known, nowMs) - (nowMs - lastBeatMs);
      assert(Math.abs(error) <= READ_MS, `${error} ms off at ${nowMs}`);
    }
  }));
});

Deno.test("a tracker that has just started believes the clocks", () => {
  const at = { nowMs: 50, previousMs: undefined, wallMs: 10_000 };
  const seen = sight(undefined, { version: "1", heardMs: 3000 }, at);
  assert.equal(silentMsOf(seen, 50), 7000);
  const ahead = sight(undefined, { version: "1", heardMs: 99_000 }, at);
  assert.equal(silentMsOf(ahead, 60), 10);
});

Deno.test("a tracker that was idle believes the clocks, within the time that it was idle", () => {
  const known = { version: "1", ageMs: 0, seenMs: 0 };
  const at = { nowMs: 60_000, previousMs: 0, wallMs: 160_000 };
  const died = sight(known, { version: "2", heardMs: 130_000 }, at);
  assert.equal(silentMsOf(died, 60_000), 30_000);
  const skewed = sight(known, { version: "2", heardMs: 0 }, at);
  assert.equal(silentMsOf(skewed, 60_000), 60_000);
});

Deno.test("the same report only grows older", () => {
  const known = { version: "1", ageMs: 5, seenMs: 100 };
  const at = { nowMs: 900, previousMs: 850, wallMs: 10 ** 12 };
  const again = sight(known, { version: "1", heardMs: 10 ** 12 }, at);
  assert.equal(silentMsOf(again, 900), 805);
});

Deno.test("silence is told in whole milliseconds, as the API promises", () => {
  const at = { nowMs: 50.25, previousMs: undefined, wallMs: 10_000 };
  const seen = sight(undefined, { version: "1", heardMs: 3000 }, at);
  assert(Number.isInteger(silentMsOf(seen, 61.5)));
});
