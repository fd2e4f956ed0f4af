import assert from "node:assert/strict";
import {
  mustYield,
  noteRequested,
  RESYNC_DEFAULTS,
  SECTORS_PER_REQUEST,
  startController,
  stepController,
} from "./resync_controller_core.ts";

Deno.test("the first steps by default: 240, 280, 320 KiB/s", () => {
  let controller = startController(RESYNC_DEFAULTS);
  const rates: number[] = [];
  let arrived = 0;
  for (let step = 0; step < 3; step += 1) {
    const next = stepController(controller, arrived, RESYNC_DEFAULTS);
    rates.push(next.rateKibPerSecond);
    arrived = next.requests * SECTORS_PER_REQUEST;
    controller = noteRequested(next.controller, arrived);
  }
  assert.deepEqual(rates, [240, 280, 320]);
});

Deno.test("a step says which limit holds it back", () => {
  const capped = { ...RESYNC_DEFAULTS, maxRateKibPerSecond: 250 };
  const fast = stepController(
    noteRequested(startController(capped), 4_000),
    4_000,
    capped,
  );
  assert.equal(fast.limitedBy, "c-max-rate");
  assert.equal(fast.requests, 6);

  const fixed = {
    ...RESYNC_DEFAULTS,
    planAheadSteps: 0,
    resyncRateKibPerSecond: 102_400,
  };
  const full = noteRequested(startController(fixed), 1_000 * 8);
  const step = stepController(full, 0, fixed);
  assert.equal(step.limitedBy, "max-buffers");
  assert.equal(step.requests, 24);
  const over = noteRequested(startController(fixed), 2_000 * 8);
  assert.equal(stepController(over, 0, fixed).requests, 0);
});

Deno.test("without a fill target the delay target decides", () => {
  const options = {
    ...RESYNC_DEFAULTS,
    fillTargetSectors: 0,
    delayTargetSteps: 20,
  };
  const begun = noteRequested(startController(options), 800);
  const step = stepController(begun, 800, options);
  // 800 arrived × 20 steps, spread over 20 steps of the plan.
  assert.equal(step.requests, (800 + 800) / SECTORS_PER_REQUEST);
});

Deno.test("a source yields to others above c-min-rate only", () => {
  const busy = {
    applicationWaits: false,
    foreignSectors: 65,
    rateKibPerSecond: 251,
  };
  assert.ok(mustYield(busy, RESYNC_DEFAULTS));
  assert.ok(!mustYield({ ...busy, rateKibPerSecond: 250 }, RESYNC_DEFAULTS));
  assert.ok(!mustYield({ ...busy, foreignSectors: 64 }, RESYNC_DEFAULTS));
  assert.ok(mustYield(
    { ...busy, foreignSectors: 0, applicationWaits: true },
    RESYNC_DEFAULTS,
  ));
  const unthrottled = { ...RESYNC_DEFAULTS, minRateKibPerSecond: 0 };
  assert.ok(!mustYield(busy, unthrottled));
});
