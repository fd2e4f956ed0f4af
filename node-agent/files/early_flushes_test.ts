import assert from "node:assert/strict";
import { EarlyFlushes, type SlowFlush } from "./early_flushes.ts";
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

Deno.test("EarlyFlushes tells of flushes that take longer than our bytes may", () => {
  const { now } = performance;
  let nowMs = 0;
  let tookMs = 0;
  performance.now = () => nowMs;
  try {
    const slow: SlowFlush[] = [];
    const flushes = new EarlyFlushes({
      flusher: { flushHere: () => void (nowMs += tookMs) },
      mayWrite: () => true,
      slow: (flush) => slow.push(flush),
    });
    const facts = { sizeBytes: 5_000_000, crc32: 7 }; // 50 ms
    const big = { ...action(2), token: earlyToken("00000000", 1, facts) };
    tookMs = 150;
    flushes.sync([big], new Map());
    assert.deepEqual(slow, []);
    tookMs = 151;
    flushes.sync([big], new Map());
    assert.deepEqual(slow, [], "it may have had much to do");
    flushes.sync([big], new Map());
    assert.deepEqual(slow, [{ pathIndex: 2, flushMs: 151 }]);
    tookMs = 101;
    flushes.sync([action(3)], new Map());
    flushes.sync([big], new Map());
    tookMs = 151;
    flushes.sync([big], new Map());
    assert.equal(slow.length, 1, "one was quick meanwhile");
    flushes.sync([action(3)], new Map());
    assert.deepEqual(slow.slice(1), [{ pathIndex: 3, flushMs: 151 }]);
  } finally {
    performance.now = now;
  }
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
