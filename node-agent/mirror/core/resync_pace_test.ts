/**
 * What a resync waits for: for answers, not for the clock.
 *
 * @module
 */

import assert from "node:assert/strict";
import { RESYNC_DEFAULTS } from "../decisions/resync_controller_core.ts";
import { Pair } from "./volume_fixture.ts";

const SIZE = 4 * 1024 * 1024;

/** Ticks until a full resync has ended. */
function ticksOf(resync: { maxBuffers: number; rateKib: number }): number {
  const pair = new Pair(SIZE, {
    resync: {
      ...RESYNC_DEFAULTS,
      planAheadSteps: 0,
      resyncRateKibPerSecond: resync.rateKib,
      maxBuffers: resync.maxBuffers,
    },
  });
  pair.up();
  pair.a.core.roles.primary(true, () => {});
  for (let tick = 0; tick < 200; tick++) {
    if (pair.a.core.state.peerDisk === "UpToDate") return tick;
    pair.run(1);
  }
  return Infinity;
}

Deno.test("max-buffers bounds what is on its way, not what a step asks for", () => {
  // 32 blocks at a time of 1024: DRBD would need a step for each 32.
  assert.ok(ticksOf({ maxBuffers: 64, rateKib: 4_000_000 }) <= 3);
});

Deno.test("the rate bounds what a step asks for", () => {
  // 400 KiB in each of ten steps; a bit less at both ends.
  const ticks = ticksOf({ maxBuffers: 2_048, rateKib: 4_000 });
  assert.ok(ticks >= 9 && ticks <= 13, `${ticks} ticks`);
});

/** The most bytes that were on their way at a time in a full resync. */
function mostOnTheWay(sizeBytes: number, maxBuffers: number): number {
  const pair = new Pair(sizeBytes, {
    resync: {
      ...RESYNC_DEFAULTS,
      planAheadSteps: 0,
      resyncRateKibPerSecond: 4_000_000,
      maxBuffers,
    },
  });
  let [asked, most] = [0, 0];
  pair.up();
  const { source } = pair.a.core;
  const requested = source.requested.bind(source);
  source.requested = (frame) => {
    asked += frame.lengthBytes;
    most = Math.max(most, asked);
    requested(frame);
  };
  const { target } = pair.b.core;
  const arrived = target.arrived.bind(target);
  target.arrived = (frame) => {
    asked -= frame.lengthBytes;
    arrived(frame);
  };
  pair.a.core.roles.primary(true, () => {});
  pair.run(5);
  assert.equal(pair.a.core.state.peerDisk, "UpToDate");
  return most;
}

Deno.test("no more is on its way than half of max-buffers", () => {
  assert.equal(mostOnTheWay(SIZE, 64), 32 * 4096);
});

Deno.test("and never more than 32 MiB, so that the source looks around", () => {
  const most = 32 * 1024 * 1024;
  assert.equal(mostOnTheWay(most + SIZE, 131_072), most);
});
