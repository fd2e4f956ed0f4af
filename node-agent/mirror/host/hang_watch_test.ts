/**
 * A Worker that hangs in its disk is seen, once, and only then.
 *
 * @module
 */

import assert from "node:assert/strict";
import { DiskWatch, LateDiskError } from "../volume/disk_watch.ts";
import { HangJudge } from "./hang_watch.ts";

Deno.test("a turn that does not end is told once, and its end", () => {
  const judge = new HangJudge();
  assert.equal(judge.look(1, 0, 1_000), undefined);
  assert.equal(judge.look(1, 900, 1_000), undefined);
  assert.equal(judge.look(1, 1_100, 1_000), "hangs");
  assert.equal(judge.look(1, 2_000, 1_000), undefined);
  assert.equal(judge.look(2, 3_000, 1_000), "back");
  assert.equal(judge.look(2, 9_000, 1_000), undefined, "idle is no hang");
});

Deno.test("turns that end are no hang, however many; nor is any without a limit", () => {
  const judge = new HangJudge();
  for (let at = 0; at < 20; at++) {
    assert.equal(judge.look(2 * at + 1, at * 400, 1_000), undefined);
  }
  const patient = new HangJudge();
  assert.equal(patient.look(1, 0, 0), undefined);
  assert.equal(patient.look(1, 1e9, 0), undefined);
});

Deno.test("what the disk does too late has failed", () => {
  const turns = new Int32Array(1);
  const seen: number[] = [];
  const watch = new DiskWatch(turns);
  const spend = () => {
    seen.push(turns[0] ?? -1);
    const endMs = performance.now() + 5;
    while (performance.now() < endMs);
  };
  watch.during(spend);
  watch.timeoutMs = 1;
  assert.throws(() => watch.during(spend), LateDiskError);
  watch.timeoutMs = 60_000;
  watch.during(spend);
  assert.deepEqual(seen, [0, 1, 3]);
  assert.equal(turns[0], 4);
});
