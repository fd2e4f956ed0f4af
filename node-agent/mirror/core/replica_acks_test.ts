/**
 * What a Secondary tells the Primary, and when.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type Pair, primaryPair } from "./volume_fixture.ts";

/** Hand the Primary's frames on, as one batch. */
function deliver({ a, b }: Pair): void {
  for (const frame of a.sent.splice(0)) b.core.frame(frame);
  b.core.settle();
}

/** Acknowledgements that wait to be sent, in order. */
function acks({ b }: Pair): number[][] {
  return b.sent.splice(0).flatMap((frame) =>
    frame.kind === "ack" ? [[frame.received, frame.written, frame.stable]] : []
  );
}

/** The first write, and its acknowledgement. */
function write(pair: Pair): void {
  pair.a.core.writes.write(0, new Uint8Array(4096), () => {});
  pair.a.core.settle(); // the activity log
  pair.a.work();
  deliver(pair);
  assert.deepEqual(acks(pair), [[1, 1, 0]]);
}

Deno.test("a flush is acknowledged once, when it is stable", () => {
  const pair = primaryPair({ protocol: "C" });
  write(pair);
  pair.a.core.writes.flush(() => {});
  deliver(pair);
  assert.deepEqual(acks(pair), []);
  pair.b.work();
  assert.deepEqual(acks(pair), [[2, 2, 2]]);
});

Deno.test("a flush that lasts is acknowledged as received meanwhile", () => {
  const pair = primaryPair({ protocol: "C" });
  write(pair);
  pair.a.core.writes.flush(() => {});
  deliver(pair);
  pair.b.core.tick(pair.nowMs + 100);
  assert.deepEqual(acks(pair), [[2, 2, 0]]);
});

Deno.test("a barrier is acknowledged as received at once: B waits for that", () => {
  const pair = primaryPair({ protocol: "B" });
  let isAnswered = false;
  pair.a.core.writes.flush((ok) => isAnswered = ok);
  pair.a.work();
  assert.ok(!isAnswered);
  deliver(pair);
  for (const frame of pair.b.sent.splice(0)) pair.a.core.frame(frame);
  assert.ok(isAnswered);
});
