import assert from "node:assert/strict";
import {
  HANGS_MS,
  SLOW_HERE_MS,
  SLOW_MS,
  SlowDisks,
  SUSPECT_LIFE_MS,
} from "./slow_disks.ts";

/** A clock that is set by hand, and disks by it. */
function setUp() {
  const clock = { nowMs: 0 };
  return { clock, disks: new SlowDisks(() => clock.nowMs) };
}

/** Something that does not end before it is told to. */
function endless() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { work: () => promise, end: () => resolve() };
}

Deno.test("a path is suspected while a flush or read takes too long", async () => {
  const { clock, disks } = setUp();
  const flush = endless();
  const flushed = disks.flush(1, flush.work);
  clock.nowMs = SLOW_MS - 1;
  assert.equal(disks.isSuspect(1), false);
  clock.nowMs = SLOW_MS;
  assert.deepEqual([0, 1, 2].map((at) => disks.isSuspect(at)), [
    false,
    true,
    false,
  ]);
  flush.end();
  await flushed;
  assert.equal(disks.isSuspect(1), false, "flushes may take their time");

  const [old, young] = [endless(), endless()];
  const first = disks.read(1, old.work);
  clock.nowMs += SLOW_MS;
  const second = disks.read(1, young.work);
  assert.equal(disks.isSuspect(1), true);
  young.end();
  await second;
  assert.equal(disks.isSuspect(1), true, "the older one has not ended");
  old.end();
  await first;
  clock.nowMs += SUSPECT_LIFE_MS - 1;
  assert.equal(disks.isSuspect(1), true, "that was not long ago");
  clock.nowMs++;
  assert.equal(disks.isSuspect(1), false);
});

Deno.test("a read that held the event loop up is the last one there for a while", () => {
  const { clock, disks } = setUp();
  clock.nowMs = SLOW_HERE_MS - 1;
  disks.readHere(0, 0);
  assert.equal(disks.isSuspect(0), false);
  clock.nowMs = SLOW_HERE_MS;
  disks.readHere(0, 0);
  assert.deepEqual([disks.isSuspect(0), disks.isSuspect(1)], [true, false]);
  clock.nowMs += SUSPECT_LIFE_MS;
  assert.equal(disks.isSuspect(0), false);
});

Deno.test("what is done in the event loop is timed, and left out while that is slow", () => {
  const { clock, disks } = setUp();
  const done: string[] = [];
  const slow = (what: string) => () => {
    done.push(what);
    clock.nowMs += SLOW_HERE_MS;
  };
  assert.equal(disks.here(1, slow("first")), true);
  assert.equal(disks.here(1, slow("second")), false);
  assert.equal(disks.here(0, slow("elsewhere")), true);
  clock.nowMs += SUSPECT_LIFE_MS;
  const failing = () => {
    slow("failing")();
    throw new Error("no");
  };
  assert.throws(() => disks.here(1, failing), /no/);
  assert.equal(disks.isSuspect(1), true, "a failure took its time, too");
  assert.deepEqual(done, ["first", "elsewhere", "failing"]);
});

Deno.test("a batch of the worker that does not end makes every path suspect", () => {
  const { disks } = setUp();
  let busyMs = SLOW_MS - 1;
  disks.workerBusyMs = () => busyMs;
  assert.equal(disks.isSuspect(3), false);
  busyMs = SLOW_MS;
  assert.equal(disks.isSuspect(3), true);
});

Deno.test("few reads wait for a disk that hangs, the others are refused", async () => {
  const { clock, disks } = setUp();
  const hung = endless();
  const waiting = Array.from({ length: 8 }, () => disks.read(0, hung.work));
  clock.nowMs = HANGS_MS - 1;
  waiting.push(disks.read(0, hung.work));
  clock.nowMs = HANGS_MS;
  const next = disks.read(0, hung.work);
  await assert.rejects(next, { slug: "unavailable", message: /M00.* 5 s/ });
  await disks.read(1, () => Promise.resolve());
  hung.end();
  await Promise.all(waiting);
  await disks.read(0, () => Promise.resolve());
});

Deno.test("what fails is over, too", async () => {
  const { clock, disks } = setUp();
  const failing = () => Promise.reject(new Error("no"));
  await assert.rejects(disks.read(0, failing), /no/);
  await assert.rejects(disks.flush(0, failing), /no/);
  clock.nowMs = SLOW_MS;
  assert.equal(disks.isSuspect(0), false);
});
