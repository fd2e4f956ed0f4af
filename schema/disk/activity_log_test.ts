import { deepEqual, equal, ok, throws } from "node:assert/strict";
import fc from "fast-check";
import {
  AL_CONTEXT_SLOTS,
  AL_FREE,
  AlBlockEncoder,
  alBlockOf,
  alExtentsCapacity,
  decodeAlBlock,
  encodeAlTransaction,
  encodeInitialised,
} from "./activity_log.ts";
import {
  alNumbersEnd,
  type AlReplay,
  replayRing,
} from "./activity_log_replay.ts";
import { crc32cDrbd } from "./crc32c.ts";
import type { AlStriping } from "./geometry.ts";

const BLOCK = 4096;

/** A ring that is written as the agent writes it. */
class Ring {
  readonly bytes: Uint8Array;
  readonly map: Uint32Array;
  readonly #encoder = new AlBlockEncoder();
  #contextStart = 0;

  constructor(
    readonly striping: AlStriping,
    readonly slots: number,
    public number = 0,
  ) {
    const blocks = striping.stripes * striping.stripeSize4k;
    this.bytes = new Uint8Array(blocks * BLOCK);
    for (let at = 0; at < blocks; at++) {
      encodeInitialised(this.bytes.subarray(at * BLOCK, (at + 1) * BLOCK));
    }
    this.map = new Uint32Array(slots).fill(AL_FREE);
  }

  /** Write one transaction; torn by what `mix` makes of old and new block. */
  write(
    updates: readonly (readonly [slot: number, extent: number])[],
    mix: (old: Uint8Array, fresh: Uint8Array) => Uint8Array = (_, b) => b,
  ): void {
    this.#encoder.begin(this.number, this.#contextStart);
    for (const [slot, extent] of updates) this.#encoder.update(slot, extent);
    this.#contextStart = this.#encoder.finish(this.map);
    const at = alBlockOf(this.number, this.striping) * BLOCK;
    const old = this.bytes.slice(at, at + BLOCK);
    this.bytes.set(mix(old, this.#encoder.block), at);
    for (const [slot, extent] of updates) this.map[slot] = extent;
    this.number = (this.number + 1) % alNumbersEnd(this.striping);
  }

  active(): number[] {
    return [...new Set(this.map)].filter((e) => e !== AL_FREE);
  }

  replay(): AlReplay {
    return replayRing(this.bytes, this.striping);
  }
}

const stripings = fc.record({
  stripes: fc.integer({ min: 1, max: 3 }),
  stripeSize4k: fc.integer({ min: 2, max: 8 }),
});
const cases = fc.record({
  striping: stripings,
  slots: fc.integer({ min: 1, max: 3000 }),
  start: fc.constantFrom("fresh", "before the numbers end"),
  seeds: fc.array(
    fc.array(fc.tuple(fc.nat(), fc.nat(0xfffffffe)), {
      minLength: 1,
      maxLength: 64,
    }),
    { minLength: 1, maxLength: 40 },
  ),
});

/** A ring with all transactions but the last, which is for the test to tear. */
function ringOf({ striping, slots, start, seeds }: CaseOf<typeof cases>) {
  const blocks = striping.stripes * striping.stripeSize4k;
  const size = Math.min(slots, alExtentsCapacity(blocks));
  const number = start === "fresh" ? 0 : alNumbersEnd(striping) - 5;
  const ring = new Ring(striping, size, number);
  const all = seeds.map((seed) =>
    seed.map(([slot, extent]) => [slot % size, extent] as const)
  );
  if (start !== "fresh") {
    // An old ring, so that no block is as it was initialised.
    for (let n = 0; n < blocks; n++) ring.write([]);
  }
  for (const updates of all.slice(0, -1)) ring.write(updates);
  return { ring, last: all[all.length - 1] ?? [] };
}

type CaseOf<T> = T extends fc.Arbitrary<infer U> ? U : never;

/** All that was durable; or, when the torn block came out whole, all of it. */
function okStory(
  replay: Extract<AlReplay, { kind: "extents" }>,
  durable: readonly number[],
  after: readonly number[],
): void {
  const shows = (all: readonly number[]) =>
    all.every((extent) => replay.extents.includes(extent));
  ok(shows(durable) || (!replay.isTorn && shows(after)));
}

Deno.test("a ring shows exactly the active extents", () => {
  fc.assert(
    fc.property(cases, (each) => {
      const { ring, last } = ringOf(each);
      ring.write(last);
      const replay = ring.replay();
      ok(replay.kind === "extents", JSON.stringify(replay));
      deepEqual(replay.extents, ring.active().sort((a, b) => a - b));
      ok(!replay.isTorn);
    }),
    { numRuns: 150 },
  );
});

Deno.test("torn at sectors, a ring shows all that was durable before", () => {
  const sectors = fc.array(fc.boolean(), { minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(cases, sectors, (each, keepsNew) => {
      const { ring, last } = ringOf(each);
      const durable = ring.active();
      ring.write(
        last,
        (old, fresh) =>
          old.map((byte, at) =>
            keepsNew[Math.floor(at / 512)] === true ? fresh[at] ?? 0 : byte
          ),
      );
      const replay = ring.replay();
      ok(replay.kind === "extents", JSON.stringify(replay));
      okStory(replay, durable, ring.active());
    }),
    { numRuns: 300 },
  );
});

Deno.test("cut at any byte, a ring shows all that was durable, or nothing is believed", () => {
  fc.assert(
    fc.property(cases, fc.integer({ min: 0, max: BLOCK }), (each, cut) => {
      const { ring, last } = ringOf(each);
      const durable = ring.active();
      ring.write(last, (old, fresh) => {
        const torn = old.slice();
        torn.set(fresh.subarray(0, cut));
        return torn;
      });
      const replay = ring.replay();
      if (replay.kind === "unusable") return;
      okStory(replay, durable, ring.active());
    }),
    { numRuns: 300 },
  );
});

Deno.test("damage to any block loses nothing, or is seen", () => {
  const damage = fc.tuple(
    fc.nat(),
    fc.nat(BLOCK - 1),
    fc.integer({ min: 1, max: 255 }),
  );
  fc.assert(
    fc.property(cases, damage, (each, [seed, at, flip]) => {
      const { ring, last } = ringOf(each);
      ring.write(last);
      const blocks = ring.bytes.length / BLOCK;
      const hit = seed % blocks;
      const place = hit * BLOCK + at;
      ring.bytes[place] = (ring.bytes[place] ?? 0) ^ flip;
      const replay = ring.replay();
      if (replay.kind === "unusable") return;
      ok(ring.active().every((e) => replay.extents.includes(e)));
    }),
    { numRuns: 300 },
  );
});

Deno.test("a newest block that decays is whole again, or nothing is believed", () => {
  const striping = { stripes: 1, stripeSize4k: 8 };
  for (const transactions of [1, 5, 21]) {
    for (let at = 0; at < BLOCK; at += 7) {
      const ring = new Ring(striping, 1500);
      for (let n = 0; n < transactions; n++) ring.write([[n, n], [n + 1, 7]]);
      const place = alBlockOf(transactions - 1, striping) * BLOCK + at;
      ring.bytes[place] = (ring.bytes[place] ?? 0) ^ (1 << at % 8);
      const replay = ring.replay();
      // Beyond the first sector it has nothing that is not known otherwise.
      if (at >= 512) equal(replay.kind, "extents", `byte ${at}`);
      if (replay.kind === "unusable") continue;
      ok(ring.active().every((e) => replay.extents.includes(e)), `byte ${at}`);
    }
  }
});

Deno.test("a ring of rubbish, or with a hole, is not believed", () => {
  const striping = { stripes: 1, stripeSize4k: 8 };
  const rubbish = new Uint8Array(8 * BLOCK).fill(0x5a);
  equal(replayRing(rubbish, striping).kind, "unusable");
  equal(replayRing(new Uint8Array(8 * BLOCK), striping).kind, "unusable");
  for (const lost of [0, 3, 6]) {
    const ring = new Ring(striping, 100);
    for (let n = 0; n < 8; n++) ring.write([[n, n]]);
    encodeInitialised(ring.bytes.subarray(lost * BLOCK, (lost + 1) * BLOCK));
    // Number 0 may have been lost to the write of number 8: it is not needed.
    equal(ring.replay().kind, "unusable", `block ${lost}`);
  }
  const gap = new Ring(striping, 100);
  for (let n = 0; n < 5; n++) gap.write([[n, n]]);
  gap.number += 2;
  gap.write([[9, 9]]);
  equal(gap.replay().kind, "unusable");
});

Deno.test("slots that no transaction tells of are not taken as free", () => {
  const striping = { stripes: 1, stripeSize4k: 2 };
  const ring = new Ring(striping, AL_CONTEXT_SLOTS + 1);
  for (let n = 0; n < 4; n++) ring.write([[0, n]]);
  ok(ring.replay().kind === "extents");
  // Two blocks of 919 hold the map; with one torn they do not.
  ring.write([[0, 9]], (old, fresh) => {
    const torn = old.slice();
    torn.set(fresh.subarray(0, 512));
    torn[1000] = 1;
    return torn;
  });
  equal(ring.replay().kind, "unusable");
  equal(alExtentsCapacity(2), AL_CONTEXT_SLOTS);
  equal(alExtentsCapacity(8), 6433);
});

Deno.test("a transaction survives its block", () => {
  const context = Array.from({ length: AL_CONTEXT_SLOTS }, (_, n) => n * 3);
  const transaction = {
    number: 77,
    updates: [{ slot: 5, extent: 1 }, { slot: 1999, extent: AL_FREE }],
    contextSize: 2000,
    contextStart: 919,
    context,
  };
  const block = encodeAlTransaction(transaction);
  deepEqual(decodeAlBlock(block), { kind: "update", transaction });
  throws(() => decodeAlBlock(new Uint8Array(512)), RangeError);
});

Deno.test("any block is read without a crash", () => {
  const bytes = fc.uint8Array({ minLength: BLOCK, maxLength: BLOCK });
  fc.assert(fc.property(bytes, fc.boolean(), (block, isSigned) => {
    if (isSigned) {
      block.set([0x69, 0xcb, 0x65, 0xa2], 0);
      block.set([0, 0], 12);
      const view = new DataView(block.buffer, block.byteOffset);
      view.setUint32(8, 0);
      view.setUint32(8, crc32cDrbd(block));
    }
    const { kind } = decodeAlBlock(block);
    ok(isSigned || kind === "invalid");
  }));
});

Deno.test("neighbours in time lie on different stripes", () => {
  const striping = { stripes: 3, stripeSize4k: 4 };
  const places = Array.from({ length: 12 }, (_, n) => alBlockOf(n, striping));
  deepEqual(places, [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
  equal(alBlockOf(12, striping), 0);
});
