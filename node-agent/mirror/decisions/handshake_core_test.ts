import assert from "node:assert/strict";
import { CREATED_SET, type GenerationSet } from "./generations_core.ts";
import { decideHandshake, type HandshakeSide } from "./handshake_core.ts";
import { AS_DRBD_84, HARDENED, type Hardenings } from "./hardenings_core.ts";
import {
  SPLIT_BRAIN_DEFAULTS,
  type SplitBrainPolicies,
} from "./split_brain_core.ts";

const BASE = 16n;
const OURS = 32n;
const THEIRS = 48n;

function set(
  current: bigint,
  bitmap = 0n,
  newer = 0n,
  older = 0n,
): GenerationSet {
  return { current, bitmap, history: [newer, older] };
}

function side(
  generations: GenerationSet,
  part: Partial<HandshakeSide> = {},
): HandshakeSide {
  return {
    generations,
    outOfSyncBlocks: 0,
    role: "Secondary",
    disk: "UpToDate",
    crashedPrimary: false,
    discardMyData: false,
    ...part,
  };
}

function decide(
  self: HandshakeSide,
  peer: HandshakeSide,
  part: {
    policies?: Partial<SplitBrainPolicies>;
    hardenings?: Hardenings;
    tentative?: boolean;
  } = {},
) {
  return decideHandshake(self, peer, {
    resolveConflicts: true,
    couldDemote: true,
    policies: { ...SPLIT_BRAIN_DEFAULTS, ...part.policies },
    hardenings: part.hardenings ?? HARDENED,
    tentative: part.tentative ?? false,
  });
}

const divided = {
  self: side(set(OURS, BASE), { outOfSyncBlocks: 3 }),
  peer: side(set(THEIRS, BASE), { outOfSyncBlocks: 9 }),
};

Deno.test("the forced Primary of a new pair is the source of a full resync", () => {
  const forced = side(set(OURS | 1n, 4n), { role: "Primary" });
  const fresh = side(CREATED_SET, { disk: "Inconsistent" });
  const source = decide(forced, fresh);
  assert.equal(source.next, "WFBitMapS");
  assert.equal(source.setWholeBitmap, true);
  assert.equal(source.comparison.rule, 30);
  assert.equal(decide(fresh, forced).next, "WFBitMapT");
});

Deno.test("two new volumes stay connected and keep their bits", () => {
  const fresh = side(CREATED_SET, {
    disk: "Inconsistent",
    outOfSyncBlocks: 100,
  });
  assert.equal(decide(fresh, fresh).next, "Connected");
});

Deno.test("a split brain is dropped by default, and both handlers are called", () => {
  const outcome = decide(divided.self, divided.peer);
  assert.equal(outcome.next, "drop");
  assert.equal(outcome.dropReason, "split-brain");
  assert.deepEqual(outcome.handlers, ["initial-split-brain", "split-brain"]);
});

Deno.test("a discard on one side decides; on both sides it does not", () => {
  const victim = { ...divided.peer, discardMyData: true };
  const outcome = decide(divided.self, victim);
  assert.equal(outcome.next, "WFBitMapS");
  assert.equal(outcome.setWholeBitmap, false, "the bitmaps have a common base");
  const both = decide({ ...divided.self, discardMyData: true }, victim);
  assert.equal(both.next, "drop");
});

Deno.test("a discard without a common base copies everything, in 8.4 only bits", () => {
  const self = side(set(OURS, BASE, 80n));
  const peer = side(set(THEIRS, 64n, 80n), { discardMyData: true });
  const hardened = decide(self, peer);
  assert.equal(hardened.comparison.verdict, "splitBrain");
  assert.deepEqual([hardened.next, hardened.setWholeBitmap], [
    "WFBitMapS",
    true,
  ]);
  assert.equal(hardened.generations.bitmap, THEIRS, "counts from their data");
  const plain = decide(self, peer, { hardenings: AS_DRBD_84 });
  assert.deepEqual([plain.next, plain.setWholeBitmap], ["WFBitMapS", false]);
});

Deno.test("equal generations with marked blocks are resynced, in 8.4 not", () => {
  const self = side(set(BASE), { outOfSyncBlocks: 2 });
  const peer = side(set(BASE));
  assert.equal(decide(self, peer).next, "WFBitMapS");
  assert.equal(decide(peer, self).next, "WFBitMapT");
  const plain = decide(self, peer, { hardenings: AS_DRBD_84 });
  assert.equal(plain.next, "Connected");
});

Deno.test("equal generations with marked blocks: who stayed up is the source", () => {
  const marked = side(set(BASE), { outOfSyncBlocks: 3 });
  const survivor = side(set(BASE), { stayedUp: true });
  assert.equal(decide(marked, survivor).next, "WFBitMapT");
  assert.equal(decide(survivor, marked).next, "WFBitMapS");
  const primary = { ...marked, role: "Primary" } as const;
  assert.equal(decide(primary, survivor).next, "WFBitMapS");
});

Deno.test("a Primary is not made sync target, unless violently", () => {
  const self = side(set(BASE), { role: "Primary" });
  const peer = side(set(THEIRS, BASE));
  const outcome = decide(self, peer);
  assert.equal(outcome.dropReason, "primary-would-be-target");
  const called = decide(self, peer, {
    policies: { rrConflict: "call-pri-lost" },
  });
  assert.deepEqual(called.handlers, ["pri-lost"]);
  const forced = decide(self, peer, { policies: { rrConflict: "violently" } });
  assert.equal(forced.next, "WFBitMapT");
});

Deno.test("a tentative connection decides and drops", () => {
  const outcome = decide(side(set(OURS, BASE)), side(set(BASE)), {
    tentative: true,
  });
  assert.equal(outcome.dropReason, "tentative");
  assert.equal(outcome.comparison.verdict, "sourceByBitmap");
});

Deno.test("unrelated data are refused whatever a person discards", () => {
  const self = side(set(16n, 0n, 32n, 48n));
  const peer = side(set(64n, 0n, 80n, 96n), { discardMyData: true });
  assert.equal(decide(self, peer).dropReason, "unrelated-data");
});

Deno.test("a policy does not let an Outdated disk win", () => {
  const policies = { afterSb0pri: "discard-remote" } as const;
  const self = side(set(OURS, BASE));
  const peer = side(set(THEIRS, BASE));
  assert.equal(decide(self, peer, { policies }).next, "WFBitMapS");
  const old = side(set(OURS, BASE), { disk: "Outdated" });
  assert.equal(decide(old, peer, { policies }).dropReason, "split-brain");
});

Deno.test("a source that missed the end of its resync is not always the better one", () => {
  const missed = set(OURS, BASE, 64n);
  const ended = set(OURS, 0n, BASE, 64n);
  const next = (
    source: Partial<HandshakeSide>,
    target: Partial<HandshakeSide>,
    hardenings?: Hardenings,
  ) => {
    const [one, other] = [side(missed, source), side(ended, target)];
    const options = hardenings === undefined ? {} : { hardenings };
    const [here, there] = [
      decide(one, other, options),
      decide(other, one, options),
    ];
    assert.deepEqual([here.comparison.rule, there.comparison.rule], [34, 35]);
    assert.deepEqual(here.generations, set(OURS, 0n, BASE, 64n));
    assert.deepEqual(there.generations, ended);
    return [here.next, there.next];
  };
  const asSource = ["WFBitMapS", "WFBitMapT"];
  const asTarget = ["WFBitMapT", "WFBitMapS"];
  assert.deepEqual(next({}, {}), asSource);
  assert.deepEqual(next({ stayedUp: true }, { stayedUp: true }), asSource);
  // It was away, and may have lost what the other one certainly has.
  assert.deepEqual(next({}, { stayedUp: true }), asTarget);
  assert.deepEqual(next({}, { stayedUp: true }, AS_DRBD_84), asSource);
  assert.deepEqual(next({ role: "Primary" }, { stayedUp: true }), asSource);
  // Its disk failed, and may lack something.
  assert.deepEqual(next({ disk: "Outdated" }, {}), asTarget);
  assert.deepEqual(next({ disk: "Outdated" }, { disk: "Outdated" }), asSource);
  assert.deepEqual(next({ disk: "Outdated" }, {}, AS_DRBD_84), asSource);
});
