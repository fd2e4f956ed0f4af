/**
 * Two nodes part while one is copied to: which of them may be promoted, and
 * what its disk says of the other one.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Pair, writeBlock } from "./volume_fixture.ts";

const SIZE = 1024 * 1024;
const FENCED = {
  fencing: "resource-and-stonith",
  handlers: new Set(["fence-peer"]),
} as const;

/** B is about to be copied to; A is Primary. */
function copying(): Pair {
  const pair = new Pair(SIZE, FENCED);
  pair.up();
  pair.a.core.roles.primary(true, () => {});
  pair.run();
  pair.b.core.roles.invalidate(() => {});
  return pair;
}

/** Let frames arrive, one by one, until something holds. */
function until(pair: Pair, holds: () => boolean): void {
  for (let left = 1_000; left > 0; left--) {
    if (holds()) return;
    pair.frames(1);
  }
  assert.fail("it never holds");
}

Deno.test("a source that has sent everything does not call its target behind", () => {
  const pair = copying();
  const { a, b } = pair;
  until(pair, () => a.core.state.connection === "SyncSource");
  assert.equal(a.persistent.flags.peerOutdated, true, "nothing is sent yet");
  until(pair, () =>
    a.sent.some((frame) => frame.kind === "resyncData") &&
    b.sent.every((frame) => frame.kind !== "resyncRequest"));
  assert.equal(a.core.state.connection, "SyncSource");
  assert.equal(a.persistent.flags.peerOutdated, false);
  pair.cut();
  assert.equal(a.core.state.peerDisk, "DUnknown", "it may be good by now");
});

Deno.test("a Primary that is copied to is fenced before its source takes over", () => {
  const pair = new Pair(SIZE, FENCED);
  const { a, b } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run();
  a.core.roles.invalidate(() => {});
  until(pair, () => b.core.state.connection === "SyncSource");
  pair.isCut = true;
  b.core.link.linkDown();
  assert.equal(b.core.state.peerDisk, "Inconsistent");
  const codes: number[] = [];
  b.core.roles.primary(false, ({ code }) => codes.push(code));
  assert.equal(codes.length, 0);
  assert.ok(b.lines.includes("helper fence-peer"));
  // Each try is answered that the other one is Primary.
  while (codes.length === 0) b.endHelper("fence-peer", 6);
  assert.deepEqual(codes, [-7]);
  assert.equal(b.core.state.disk, "UpToDate", "nobody else has the data");
  b.core.roles.primary(false, ({ code }) => codes.push(code));
  b.endHelper("fence-peer", 7); // it was switched off
  assert.deepEqual(codes, [-7, 1]);
});

Deno.test("a source that was started anew fences its target, too", () => {
  const pair = new Pair(SIZE, FENCED);
  const { a, b } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run();
  a.core.roles.invalidate(() => {});
  until(pair, () => b.core.state.connection === "SyncSource");
  pair.isCut = true; // A does not know yet
  b.restart();
  b.core.disk.attach(b.disk(), () => {});
  assert.equal(b.core.state.disk, "UpToDate");
  const codes: number[] = [];
  const done = ({ code }: { readonly code: number }) => codes.push(code);
  b.core.roles.primary(false, done);
  while (codes.length === 0) b.endHelper("fence-peer", 6);
  assert.deepEqual(codes, [-7]);
  assert.equal(b.core.state.disk, "UpToDate", "nobody else has the data");
  b.core.roles.primary(false, done);
  b.endHelper("fence-peer", 7);
  assert.deepEqual(codes, [-7, 1]);
});

Deno.test("a peer that was switched off makes old data no better", () => {
  const pair = new Pair(SIZE, FENCED);
  const { a, b } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run();
  pair.cut();
  pair.restart(b);
  assert.equal(b.core.state.disk, "Consistent", "A may have gone on");
  const codes: number[] = [];
  b.core.roles.primary(false, ({ code }) => codes.push(code));
  while (codes.length === 0) b.endHelper("fence-peer", 7);
  assert.deepEqual(codes, [-2]);
  pair.restart(b);
  assert.equal(b.core.state.disk, "Consistent");
});

Deno.test("a disk that is away while the other one is written is behind", () => {
  const pair = new Pair(SIZE, FENCED);
  const { a, b } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run();
  b.core.disk.detach(false, () => {});
  pair.run(2);
  a.core.writes.write(0, new Uint8Array(4096), () => {});
  pair.run(2);
  assert.equal(a.persistent.flags.peerOutdated, true);
  pair.cut();
  assert.equal(a.core.state.suspendedFencing, false);
  pair.restart(a);
  assert.equal(a.core.state.disk, "UpToDate");
  const codes: number[] = [];
  a.core.roles.outdate(({ code }) => codes.push(code));
  assert.deepEqual(codes, [-2]);
});

Deno.test("a peer that has not said that it is a target is fenced before it is left", () => {
  const pair = copying();
  const { a, b } = pair;
  until(pair, () => a.core.state.connection === "WFBitMapS");
  const answers = writeBlock(a, 5);
  for (let left = 10; left > 0; left--) a.work();
  assert.deepEqual(answers, [], "the peer, which lacks it, could be promoted");
  pair.cut();
  assert.equal(b.core.state.disk, "UpToDate", "it never heard of the resync");
  assert.equal(a.core.state.peerDisk, "DUnknown");
  assert.equal(a.persistent.flags.peerOutdated, false);
  assert.deepEqual(answers, []);
  a.endHelper("fence-peer", 7);
  pair.run(1);
  assert.deepEqual(answers, [true]);
});

Deno.test("writes go on as soon as it is a target", () => {
  const pair = copying();
  until(pair, () => pair.a.core.state.connection === "WFBitMapS");
  const answers = writeBlock(pair.a, 5);
  pair.run();
  assert.deepEqual(answers, [true]);
  assert.equal(pair.b.data[0], 5);
});
