import assert from "node:assert/strict";
import { TrackerClock } from "./tracker_clock.ts";

Deno.test("TrackerClock follows the tracker, whatever our wall clock does", () => {
  const own = {
    mono: 1000,
    wall: 5,
    monotonicMs: () => own.mono,
    wallMs: () => own.wall,
  };
  const clock = new TrackerClock(own);
  assert.equal(clock.wallMs(), 5, "nobody has spoken");
  clock.heard(undefined);
  assert.equal(clock.wallMs(), 5, "an older tracker does not say");
  clock.heard(1_800_000_000_000);
  own.mono += 250;
  own.wall = -1;
  assert.equal(clock.wallMs(), 1_800_000_000_250);
});
