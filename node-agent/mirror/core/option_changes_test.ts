/**
 * Options that change while a volume runs.
 *
 * @module
 */

import assert from "node:assert/strict";
import { changeProblem } from "./option_problems_core.ts";
import { Pair, TEST_CONFIG, type TestNode } from "./volume_fixture.ts";
import type { VolumeConfig } from "./volume_types.ts";

const BLOCK = 4096;
const EXTENT = 4 * 1024 * 1024;

function primaryPair(config: Partial<VolumeConfig> = {}): Pair {
  const pair = new Pair(8 * EXTENT, config);
  pair.up();
  pair.a.core.roles.primary(true, () => {});
  pair.run();
  assert.equal(pair.a.core.state.connection, "Connected");
  return pair;
}

function take(node: TestNode, part: Partial<VolumeConfig>): void {
  node.core.options.take({ ...node.core.config, ...part });
  node.core.settle();
}

/** Write a block; what it was answered. */
function write({ a }: Pair, offset: number): { ok: boolean | undefined } {
  const answer: { ok: boolean | undefined } = { ok: undefined };
  const data = new Uint8Array(BLOCK).fill(7);
  a.core.writes.write(offset, data, (ok) => answer.ok = ok);
  a.core.settle();
  return answer;
}

Deno.test("a larger activity log is used when nothing is in the old one", () => {
  const pair = primaryPair({ alExtents: 3 });
  const { a } = pair;
  const first = write(pair, 0);
  a.work(); // its extent is in the log, and it is on its way
  take(a, { alExtents: 7 });
  assert.equal(a.core.log.extents().length, 3, "an extent is in use");
  const held = write(pair, EXTENT);
  pair.run(1);
  assert.equal(a.core.log.extents().length, 7);
  assert.equal(a.core.config.alExtents, 7);
  assert.deepEqual([first.ok, held.ok], [true, true]);
  for (let extent = 0; extent < 6; extent++) write(pair, extent * EXTENT);
  pair.run(1);
  const used = a.core.log.extents().filter((each) => each !== 0xffff_ffff);
  assert.equal(used.length, 6);
});

Deno.test("writes do not wait for long for another activity log", () => {
  const pair = primaryPair({ alExtents: 3 });
  const { a } = pair;
  write(pair, 0);
  a.work();
  take(a, { alExtents: 7 });
  const held = write(pair, EXTENT);
  a.sent.length = 0; // the peer never confirms
  for (let tick = 0; tick < 12; tick++) {
    a.core.tick(pair.nowMs += 100);
    a.work();
  }
  assert.equal(a.core.options.isHolding, false);
  assert.equal(a.core.log.extents().length, 3);
  assert.ok(a.sent.some((frame) => frame.kind === "data"), "it went on");
  assert.equal(held.ok, undefined);
});

Deno.test("an activity log that is not wanted any more holds nobody", () => {
  const pair = primaryPair({ alExtents: 3 });
  write(pair, 0);
  pair.a.work();
  take(pair.a, { alExtents: 7 });
  take(pair.a, { alExtents: 3 });
  const answer = write(pair, EXTENT);
  pair.run(1);
  assert.equal(answer.ok, true);
  assert.equal(pair.a.core.log.extents().length, 3);
});

Deno.test("protocol A counts from the next connection on", () => {
  const pair = primaryPair();
  for (const node of [pair.a, pair.b]) take(node, { protocol: "A" });
  assert.equal(pair.a.core.config.protocol, "C");
  const answer = write(pair, 0);
  pair.a.work();
  pair.a.work();
  assert.equal(answer.ok, undefined, "not before the peer has it");
  pair.run(1);
  assert.equal(answer.ok, true);
  pair.cut();
  pair.mend();
  assert.equal(pair.a.core.config.protocol, "A");
  assert.equal(pair.b.core.state.connection, "Connected");
});

Deno.test("who was on protocol A knows only after a reunion that it has everything", () => {
  const pair = primaryPair({ protocol: "A" });
  for (const node of [pair.a, pair.b]) take(node, { protocol: "C" });
  write(pair, 0);
  pair.run(1);
  assert.equal(pair.a.core.config.protocol, "C");
  assert.equal(pair.b.core.disk.stayedUp, false);
  pair.cut();
  pair.mend();
  assert.equal(pair.b.core.disk.stayedUp, true);
});

Deno.test("a flush is answered as it began", () => {
  const pair = primaryPair();
  write(pair, 0);
  pair.run(1);
  const { a, b } = pair;
  let ok: boolean | undefined;
  a.core.writes.flush((is) => ok = is);
  take(a, { protocol: "B" });
  for (const frame of a.sent.splice(0)) b.core.frame(frame);
  b.core.settle(); // received, and not stable
  for (const frame of b.sent.splice(0)) a.core.frame(frame);
  a.work();
  assert.equal(ok, undefined);
  pair.run(1);
  assert.equal(ok, true);
});

Deno.test("a verify needs the same digest on both nodes", () => {
  const pair = primaryPair();
  take(pair.a, { verifyAlgorithm: "md5" });
  const codes: number[] = [];
  pair.a.core.verify.start({}, ({ code }) => codes.push(code));
  pair.run(1);
  take(pair.b, { verifyAlgorithm: "md5" });
  pair.a.core.verify.start({}, ({ code }) => codes.push(code));
  pair.run(5);
  assert.deepEqual(codes, [-14, 1]);
  assert.equal(pair.a.core.state.connection, "Connected");
});

Deno.test("some options may not change in the middle of something", () => {
  const { state } = primaryPair().a.core;
  const other = { ...TEST_CONFIG, verifyAlgorithm: "md5" };
  const sums = { ...TEST_CONFIG, checksumAlgorithm: "md5" };
  const ahead: VolumeConfig = { ...TEST_CONFIG, onCongestion: "pull-ahead" };
  const code = (connection: typeof state.connection, next: VolumeConfig) =>
    changeProblem({ ...state, connection }, TEST_CONFIG, next);
  assert.equal(code("VerifyS", other), 149);
  assert.equal(code("SyncTarget", other), undefined);
  assert.equal(code("SyncTarget", sums), 148);
  assert.equal(code("Connected", sums), undefined);
  assert.equal(code("Connected", ahead), 155);
  assert.equal(code("StandAlone", ahead), undefined, "refused by connect");
});
