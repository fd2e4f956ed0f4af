/**
 * What a Primary orders under an older epoch than ours is refused, and nothing
 * else is (promises.md R1).
 *
 * @module
 */

import assert from "node:assert/strict";
import type { MirrorFrame } from "@kedge/schema/wire/mirror";
import { Pair } from "./volume_fixture.ts";

const ORDERS: readonly MirrorFrame[] = [
  {
    kind: "data",
    sequence: 1,
    offset: 0,
    payload: new Uint8Array(512).fill(9),
  },
  { kind: "zero", sequence: 1, offset: 0, lengthBytes: 512, mayPunch: false },
  { kind: "flush", sequence: 1, barrier: true },
];

/** A pair of equal disks full of ones; B knows epoch 5. */
function knowing(fencedByRegister: boolean): Pair {
  const pair = new Pair(1024 * 1024, { fencedByRegister });
  const flags = { consistent: true, wasUpToDate: true };
  for (const node of [pair.a, pair.b]) {
    const { persistent } = node;
    node.data.fill(1);
    node.bitmap.fill(0);
    node.persistent = {
      ...persistent,
      generations: { ...persistent.generations, current: 0x10n },
      flags: { ...persistent.flags, ...flags },
      epoch: 5,
    };
  }
  pair.up();
  assert.equal(pair.b.core.state.connection, "Connected");
  return pair;
}

/** Whether B's disk and connection are what they were after this frame. */
function givesUp({ b }: Pair, frame: MirrorFrame, epoch: number): boolean {
  const { length } = b.sent;
  b.core.frame(frame, epoch);
  b.core.settle();
  const isGivenUp = b.isLinkClosed;
  if (isGivenUp) {
    assert.deepEqual(b.data, new Uint8Array(b.data.length).fill(1));
    assert.equal(b.sent.length, length, "it is told nothing");
  }
  assert.equal(b.core.state.connection === "Connected", !isGivenUp);
  const written = frame.kind === "data" ? 9 : frame.kind === "zero" ? 0 : 1;
  assert.equal(b.data[0], isGivenUp ? 1 : written);
  return isGivenUp;
}

for (const frame of ORDERS) {
  Deno.test(`a ${frame.kind} frame of a replaced Primary ends the connection`, () => {
    assert.equal(givesUp(knowing(true), frame, 4), true);
  });

  Deno.test(`a ${frame.kind} frame of our epoch is taken`, () => {
    assert.equal(givesUp(knowing(true), frame, 5), false);
  });

  Deno.test(`a ${frame.kind} frame is taken where no register decides`, () => {
    assert.equal(givesUp(knowing(false), frame, 0), false);
  });
}

Deno.test("a higher epoch is on the disk before its frame is done", () => {
  const pair = knowing(true);
  const { b } = pair;
  assert.equal(
    givesUp(pair, { kind: "flush", sequence: 1, barrier: true }, 6),
    false,
  );
  assert.equal(b.persistent.epoch, 6);
  assert.equal(
    givesUp(pair, { kind: "flush", sequence: 2, barrier: true }, 5),
    true,
  );
});
