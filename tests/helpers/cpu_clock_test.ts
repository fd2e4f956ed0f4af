import assert from "node:assert/strict";
import { cpuClockUsOf } from "./cpu_clock.ts";
import { usageOf } from "./proc.ts";

Deno.test("cpuClockUsOf() says what /proc says, in finer steps", () => {
  // User and system time, each rounded down to 10 ms.
  const stepsUs = 20_000;
  const before = usageOf(Deno.pid).cpuUs;
  const used = cpuClockUsOf([Deno.pid]);
  const after = usageOf(Deno.pid).cpuUs;
  assert.ok(used >= before, `${used} after ${before}`);
  assert.ok(used <= after + stepsUs, `${used} before ${after}`);
  const endUs = used + 5_000;
  while (cpuClockUsOf([Deno.pid]) < endUs);
});

Deno.test("cpuClockUsOf() adds processes up", () => {
  const one = cpuClockUsOf([Deno.pid]);
  assert.ok(cpuClockUsOf([Deno.pid, Deno.pid]) >= 2 * one);
  assert.equal(cpuClockUsOf([]), 0);
});

Deno.test("cpuClockUsOf() throws when a process is gone", async () => {
  const child = new Deno.Command("true").spawn();
  await child.status;
  assert.throws(() => cpuClockUsOf([child.pid]), Deno.errors.NotFound);
});
