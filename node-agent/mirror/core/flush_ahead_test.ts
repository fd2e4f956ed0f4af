/**
 * Where each write is flushed, the peer is told with the write. What is told
 * ahead must cover as much as what is asked for.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type Pair, primaryPair } from "./volume_fixture.ts";

/** Begin a write; the kinds of frames that it sends. */
function write({ a }: Pair, offset = 0): string[] {
  a.core.writes.write(offset, new Uint8Array(4096).fill(9), () => {});
  a.core.settle();
  if (a.sent.length === 0) a.work(); // the activity log came first
  return a.sent.map(({ kind }) => kind);
}

/** Begin a flush; whether it is answered, when somebody asks. */
function flush({ a }: Pair): () => boolean | undefined {
  let answer: boolean | undefined;
  a.core.writes.flush((ok) => answer = ok);
  return () => answer;
}

/** Write and flush, and let both end, again and again. */
function untilRegular(pair: Pair): void {
  for (let count = 0; count < 8; count++) {
    assert.deepEqual(write(pair), ["data"]);
    pair.run(1);
    const isAnswered = flush(pair);
    assert.deepEqual(pair.a.sent.map(({ kind }) => kind), ["flush"]);
    pair.run(1);
    assert.equal(isAnswered(), true);
  }
}

Deno.test("after many of them a flush is sent with its write", () => {
  const pair = primaryPair();
  untilRegular(pair);
  assert.deepEqual(write(pair), ["data", "flush"]);
  pair.run(1);
  const isAnswered = flush(pair);
  assert.deepEqual(pair.a.sent, []);
  pair.a.work(); // our own disk
  assert.equal(isAnswered(), true);
});

Deno.test("it is not answered before the peer's disk is stable", () => {
  const pair = primaryPair();
  untilRegular(pair);
  write(pair);
  for (const frame of pair.a.sent.splice(0)) pair.b.core.frame(frame);
  pair.b.core.settle();
  const isAnswered = flush(pair);
  const tellAndWork = () => {
    for (const frame of pair.b.sent.splice(0)) pair.a.core.frame(frame);
    pair.a.work();
  };
  tellAndWork();
  assert.equal(isAnswered(), undefined);
  pair.b.work();
  tellAndWork();
  assert.equal(isAnswered(), true);
});

Deno.test("a second write is not covered, and breaks the rhythm", () => {
  const pair = primaryPair();
  untilRegular(pair);
  write(pair);
  pair.run(1);
  assert.deepEqual(write(pair, 4096), ["data"]);
  pair.run(1);
  flush(pair);
  assert.deepEqual(pair.a.sent.map(({ kind }) => kind), ["flush"]);
  pair.run(1);
  assert.deepEqual(write(pair), ["data"]);
});

Deno.test("what the peer wrote as Primary is not covered", () => {
  const pair = primaryPair();
  untilRegular(pair);
  write(pair);
  pair.run(1);
  pair.a.core.roles.secondary(() => {});
  pair.run(1);
  pair.b.core.roles.primary(false, () => {});
  pair.run(1);
  pair.b.core.writes.write(8192, new Uint8Array(4096).fill(7), () => {});
  pair.run(1);
  pair.b.core.roles.secondary(() => {});
  pair.run(1);
  pair.a.core.roles.primary(false, () => {});
  pair.run(1);
  assert.equal(pair.a.core.state.role, "Primary");
  flush(pair);
  assert.deepEqual(pair.a.sent.map(({ kind }) => kind), ["flush"]);
});

Deno.test("a new connection begins anew, also with its numbers", () => {
  const pair = primaryPair();
  untilRegular(pair);
  write(pair);
  const ahead = pair.a.core.writes.sent.last;
  pair.run(1);
  write(pair, 4096); // breaks the rhythm
  flush(pair);
  pair.run(1);
  pair.cut();
  pair.mend();
  assert.equal(pair.a.core.state.peerDisk, "UpToDate");
  while (pair.a.core.writes.sent.last < ahead) {
    assert.deepEqual(write(pair), ["data"]);
    pair.run(1);
  }
  flush(pair);
  assert.deepEqual(pair.a.sent.map(({ kind }) => kind), ["flush"]);
});

Deno.test("with B a flush orders what follows: none is sent ahead", () => {
  const pair = primaryPair({ protocol: "B" });
  untilRegular(pair);
  assert.deepEqual(write(pair), ["data"]);
});
