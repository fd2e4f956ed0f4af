import assert from "node:assert/strict";
import fc from "fast-check";
import {
  CREATED_SET,
  formatGeneration,
  type GenerationSet,
  sameGeneration,
  sameSet,
} from "./generations_core.ts";
import { AS_DRBD_84, HARDENED } from "./hardenings_core.ts";
import {
  beginGeneration,
  clearBitmapGeneration,
  countFrom,
  finishSource,
  finishTarget,
  needsNewGeneration,
  skipInitialSync,
  startSource,
  startTarget,
} from "./uuid_core.ts";

const generation = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const anySet: fc.Arbitrary<GenerationSet> = fc.record({
  current: generation,
  bitmap: fc.oneof(generation, fc.constantFrom(0n, 4n)),
  history: fc.tuple(generation, generation),
});

Deno.test("formatGeneration() prints 16 digits, as get-gi does", () => {
  assert.equal(formatGeneration(4n), "0000000000000004");
  assert.equal(formatGeneration(0xabcdefn << 40n), "ABCDEF0000000000");
});

Deno.test("a finished resync leaves both nodes with one set", () => {
  fc.assert(fc.property(anySet, anySet, generation, (told, old, random) => {
    const { set, announced } = startSource(told, random | 2n);
    const source = finishSource(set);
    const target = finishTarget(startTarget(old, announced), told);
    assert.ok(sameGeneration(source.current, target.current));
    assert.equal(source.bitmap, 0n);
    assert.equal(target.bitmap, 0n);
    assert.ok(sameGeneration(source.history[0], target.history[0]));
    assert.equal(source.history[1], target.history[1]);
  }));
});

Deno.test("a source announces its base plus 2^48, and a random one without", () => {
  const named = { ...CREATED_SET, bitmap: 16n };
  assert.equal(startSource(named, 99n).announced, 16n + (1n << 48n));
  assert.deepEqual(startSource(named, 99n).set.history, [16n, 0n]);
  assert.equal(startSource(CREATED_SET, 99n).announced, 99n);
  const created = { ...CREATED_SET, bitmap: 4n };
  assert.equal(startSource(created, 99n).announced, 99n);
});

Deno.test("a new generation counts from the old one, and keeps an older base", () => {
  const first = beginGeneration({ ...CREATED_SET, current: 16n }, 32n, true);
  assert.deepEqual(first, { current: 33n, bitmap: 16n, history: [0n, 0n] });
  const second = beginGeneration(first, 64n, false);
  assert.deepEqual(second, { current: 64n, bitmap: 16n, history: [33n, 0n] });
});

Deno.test("a new generation keeps the trace of a resync that nobody heard of", () => {
  const started = startSource(
    { current: 33n, bitmap: 16n, history: [0n, 0n] },
    99n,
  ).set;
  const next = beginGeneration(started, 64n, true);
  assert.deepEqual(next.history, [16n, 33n]);
});

Deno.test("clearing no bitmap generation changes nothing", () => {
  assert.ok(sameSet(clearBitmapGeneration(CREATED_SET), CREATED_SET));
});

Deno.test("countFrom() names the peer's data, if they have a name", () => {
  const set: GenerationSet = { current: 64n, bitmap: 32n, history: [16n, 8n] };
  assert.deepEqual(countFrom(set, 16n), {
    current: 64n,
    bitmap: 16n,
    history: [32n, 8n],
  });
  assert.equal(countFrom(set, 4n), set);
  assert.equal(countFrom(set, 0n), set);
  assert.equal(countFrom(set, 33n), set, "already the base");
});

Deno.test("needsNewGeneration(): 8.4 at promotion and loss, hardened at the write", () => {
  const set = { ...CREATED_SET, current: 16n };
  const quiet = { hasUnreplicatedWrites: false, mayBeShared: false };
  const ask = (
    event: Parameters<typeof needsNewGeneration>[0]["event"],
    hardenings = HARDENED,
  ) => needsNewGeneration({ set, event, ...quiet }, hardenings);
  assert.deepEqual(
    [ask("promoted-alone"), ask("peer-lost"), ask("unreplicated-write")],
    [false, false, true],
  );
  assert.deepEqual(
    [
      ask("promoted-alone", AS_DRBD_84),
      ask("peer-lost", AS_DRBD_84),
      ask("unreplicated-write", AS_DRBD_84),
    ],
    [true, true, true],
  );
});

Deno.test("needsNewGeneration(): writes in flight count when the peer is lost", () => {
  const set = { ...CREATED_SET, current: 16n };
  const event = "peer-lost";
  const inFlight = { hasUnreplicatedWrites: true, mayBeShared: false };
  assert.ok(needsNewGeneration({ set, event, ...inFlight }, HARDENED));
});

Deno.test("needsNewGeneration(): a counting bitmap is enough, unless the target may follow", () => {
  const set: GenerationSet = { current: 33n, bitmap: 16n, history: [0n, 0n] };
  const write = {
    set,
    event: "unreplicated-write",
    hasUnreplicatedWrites: true,
  } as const;
  assert.ok(!needsNewGeneration({ ...write, mayBeShared: false }, HARDENED));
  assert.ok(needsNewGeneration({ ...write, mayBeShared: true }, HARDENED));
  assert.ok(!needsNewGeneration({ ...write, mayBeShared: true }, AS_DRBD_84));
});

Deno.test("skipInitialSync() names both nodes' data at once", () => {
  assert.deepEqual(skipInitialSync(99n), {
    current: 98n,
    bitmap: 0n,
    history: [0n, 0n],
  });
});
