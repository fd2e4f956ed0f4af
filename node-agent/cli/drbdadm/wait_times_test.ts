import assert from "node:assert/strict";
import { patienceOf } from "./wait_times_core.ts";

const ALONE = { wasAway: true, isOutdated: false };
const OUTDATED = { wasAway: true, isOutdated: true };
const FRESH = { wasAway: false, isOutdated: false };
const NEVER = { wfcMs: 0, degrMs: 0, outdatedMs: 0 };

Deno.test("wfc-timeout bounds a wait after a lone Primary, too", () => {
  const { ms, warnings } = patienceOf({ ...NEVER, wfcMs: 1000 }, ALONE);
  assert.equal(ms, 1000);
  assert.deepEqual(warnings, [
    "degr-wfc-timeout has to be shorter than wfc-timeout",
    "degr-wfc-timeout implicitly set to wfc-timeout (1s)",
    "outdated-wfc-timeout has to be shorter than degr-wfc-timeout",
    "outdated-wfc-timeout implicitly set to degr-wfc-timeout (1s)",
  ]);
});

Deno.test("degr-wfc-timeout bounds the wait for an outdated peer", () => {
  const times = { wfcMs: 0, degrMs: 5000, outdatedMs: 9000 };
  assert.equal(patienceOf(times, OUTDATED).ms, 5000);
  assert.equal(patienceOf(times, ALONE).ms, 5000);
  assert.equal(patienceOf(times, FRESH).ms, Infinity);
  assert.equal(patienceOf(times, FRESH).warnings.length, 2);
});

Deno.test("shorter timeouts stay, and nothing is said of them", () => {
  const times = { wfcMs: 30_000, degrMs: 20_000, outdatedMs: 10_000 };
  const of = (peer: typeof ALONE) => patienceOf(times, peer);
  assert.deepEqual(of(FRESH), { ms: 30_000, warnings: [] });
  assert.deepEqual(of(ALONE), { ms: 20_000, warnings: [] });
  assert.deepEqual(of(OUTDATED), { ms: 10_000, warnings: [] });
});

Deno.test("without timeouts a wait has no end", () => {
  assert.deepEqual(patienceOf(NEVER, OUTDATED), { ms: Infinity, warnings: [] });
});
