/**
 * A load that never pauses is no silence of the peer.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type Pair, primaryPair } from "./volume_fixture.ts";

const TICK_MS = 100;

/** One write under way whenever somebody looks, for so many ticks. */
function load(pair: Pair, ticks: number, isAnswered: boolean): number {
  const { a, b } = pair;
  let answers = 0;
  for (let tick = 0; tick < ticks; tick++) {
    for (const frame of a.sent.splice(0)) if (isAnswered) b.core.frame(frame);
    b.core.settle();
    for (const frame of b.sent.splice(0)) a.core.frame(frame);
    a.core.writes.write(0, new Uint8Array(4096), () => answers++);
    a.work();
    b.work();
    pair.nowMs += TICK_MS;
    a.core.tick(pair.nowMs);
  }
  return answers;
}

Deno.test("one write under way at every look is progress", () => {
  const pair = primaryPair({ peerTimeoutMs: 2_000 });
  assert.equal(load(pair, 100, true), 99);
  assert.equal(pair.a.core.state.connection, "Connected");
});

Deno.test("a peer that takes writes and confirms none is given up", () => {
  const pair = primaryPair({ peerTimeoutMs: 2_000 });
  load(pair, 100, false);
  assert.equal(pair.a.core.state.connection, "WFConnection");
});
