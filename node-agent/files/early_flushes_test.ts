import assert from "node:assert/strict";
import { EarlyFlushes } from "./early_flushes.ts";
import { earlyToken } from "./early_token.ts";
import type { Pending } from "./file_actions.ts";

let count = 0;

function action(pathIndex: number, token?: string): Pending {
  const facts = { sizeBytes: 5, crc32: 7 };
  const own = earlyToken("00000000", ++count, facts);
  return { pathIndex, token: token ?? own } as Pending;
}

/** Flushes of paths that fail when they are told to. */
function rig() {
  const flushed: number[] = [];
  const failing = new Set<number>();
  const fenced = new Set<number>();
  const flushes = new EarlyFlushes({
    flusher: {
      flushHere(pathIndex) {
        flushed.push(pathIndex);
        if (failing.has(pathIndex)) throw new Error("syncfs");
      },
    },
    mayWrite: (pathIndex) => !fenced.has(pathIndex),
    slow: () => {},
  });
  return { flushes, flushed, failing, fenced };
}

Deno.test("EarlyFlushes flushes each path once, if it has such files", () => {
  const { flushes, flushed } = rig();
  assert(!flushes.isDirty);
  flushes.stored([action(0, "bodies-1.2.3"), action(1, "")], false);
  assert(!flushes.isDirty);
  assert.deepEqual(flushes.sync([], new Map()), []);
  assert.deepEqual(flushed, []);
  flushes.stored([action(2), action(2)], false);
  assert(flushes.isDirty);
  assert.deepEqual(flushes.sync([action(2), action(1)], new Map()), []);
  assert.deepEqual(flushed, [2, 1]);
  assert(flushes.isDirty, "the transaction may fail yet");
  flushes.stored([], true);
  assert(!flushes.isDirty);
});

Deno.test("EarlyFlushes names what a failed path has, and no other path's", () => {
  const { flushes, flushed, failing } = rig();
  const [old, kept, young] = [action(0), action(1), action(0)];
  flushes.stored([old, kept], false);
  failing.add(0);
  const failed = new Map<number, string>();
  assert.deepEqual(flushes.sync([young], failed), [old, young]);
  assert.deepEqual([...failed], [[0, "flush of new files: syncfs"]]);
  // The transaction is tried again, as after the reserve was lent.
  failing.clear();
  assert.deepEqual(flushes.sync([young], failed), [old, young]);
  assert.deepEqual(flushed, [0, 1, 1], "a failed flush was repeated");
  flushes.stored([young], true);
  assert.deepEqual(flushes.sync([], new Map()), []);
});

/** Flushes that take as long as they are told to; pauses that were asked for. */
function slowRig() {
  const { now } = performance;
  const clock = { nowMs: 0, tookMs: 0 };
  const pauses: number[] = [];
  performance.now = () => clock.nowMs;
  const flushes = new EarlyFlushes({
    flusher: { flushHere: () => void (clock.nowMs += clock.tookMs) },
    mayWrite: () => true,
    slow: (pauseMs) => pauses.push(pauseMs),
  });
  const flush = (tookMs: number, ...actions: Pending[]) => {
    clock.tookMs = tookMs;
    flushes.sync(actions, new Map());
    return pauses.splice(0);
  };
  const undo = { [Symbol.dispose]: () => void (performance.now = now) };
  return { flush, clock, undo };
}

Deno.test("EarlyFlushes asks for a pause at the second slow flush", () => {
  const { flush, clock, undo } = slowRig();
  using _ = undo;
  const facts = { sizeBytes: 5_000_000, crc32: 7 }; // 50 ms
  const big = { ...action(2), token: earlyToken("00000000", 1, facts) };
  for (let n = 0; n < 3; n++) assert.deepEqual(flush(150, big), []);
  assert.deepEqual(flush(151, big), [], "it may have had much to do");
  assert.deepEqual(flush(20, big), []);
  assert.deepEqual(flush(151, big), [1510]);
  // What went the longer way meanwhile is flushed by the first one.
  clock.nowMs += 1510;
  assert.deepEqual(flush(9_000, big), []);
  assert.deepEqual(flush(101, action(2)), [1010]);
});

Deno.test("EarlyFlushes forgets a slow flush that is long past", () => {
  const { flush, clock, undo } = slowRig();
  using _ = undo;
  assert.deepEqual(flush(200, action(0)), []);
  clock.nowMs += 2_000;
  assert.deepEqual(flush(200, action(0)), []);
  clock.nowMs += 1_999;
  assert.deepEqual(flush(200, action(0)), [2_000]);
});

Deno.test("EarlyFlushes takes all paths for one file system", () => {
  const { flush, undo } = slowRig();
  using _ = undo;
  assert.deepEqual(flush(200, action(0)), []);
  assert.deepEqual(flush(200, action(1)), [2_000]);
});

Deno.test("EarlyFlushes asks for ten minutes at most", () => {
  const { flush, undo } = slowRig();
  using _ = undo;
  flush(3_600_000, action(0));
  assert.deepEqual(flush(3_600_000, action(0)), [600_000]);
});

Deno.test("EarlyFlushes does not flush a path that is fenced", () => {
  const { flushes, flushed, fenced } = rig();
  const one = action(3);
  flushes.stored([one], false);
  fenced.add(3);
  const failed = new Map<number, string>();
  assert.deepEqual(flushes.sync([], failed), [one]);
  assert.deepEqual([...failed.keys()], [3]);
  assert.deepEqual(flushed, []);
});
