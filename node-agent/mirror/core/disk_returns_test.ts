/**
 * A disk that was let go comes back on a connection that stands: its copy of an
 * answered write counts until the other node's is stable.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Pair, type TestNode, writeBlock } from "./volume_fixture.ts";

const SIZE = 1024 * 1024;

/** What node a has, and what a loss of its power would leave. */
interface Scene {
  readonly pair: Pair;
  readonly stable: Uint8Array;
}

/** B is Primary and has written 5, which is only in the cache of a's disk. */
function written(): Scene {
  const pair = new Pair(SIZE);
  pair.up();
  pair.b.core.roles.primary(true, () => {});
  pair.run();
  const stable = pair.a.data.slice();
  writeBlock(pair.b, 5);
  pair.run(1);
  assert.equal(pair.a.data[0], 5);
  assert.equal(pair.a.core.flusher.isStable, false);
  return { pair, stable };
}

/** Everything that a node has sent reaches the other one. */
function pass(from: TestNode, to: TestNode): void {
  for (const frame of from.sent.splice(0)) to.core.frame(frame);
}

function comesBack(node: TestNode): void {
  node.core.disk.detach(true, () => {});
  node.core.disk.attach(node.disk(), () => {});
  assert.equal(node.core.state.disk, "Negotiating");
}

function losePower(node: TestNode, { pair, stable }: Scene): void {
  node.data.set(stable);
  pair.restart(node);
  pair.run();
}

Deno.test("nobody's copy is given up for one that is not stable", () => {
  const scene = written();
  const { pair: { a, b } } = scene;
  comesBack(b);
  pass(b, a);
  pass(a, b);
  assert.equal(b.core.state.disk, "Negotiating", "a flushes first");
  losePower(a, scene);
  assert.deepEqual([a.data[0], b.data[0]], [5, 5]);
});

Deno.test("data have no name of their own before they are stable", () => {
  const scene = written();
  const { pair: { a, b } } = scene;
  const { current } = a.persistent.generations;
  b.core.disk.detach(true, () => {});
  pass(b, a);
  assert.equal(a.persistent.generations.current, current);
  assert.equal(a.core.state.peerDisk, "Diskless");
  a.work();
  assert.notEqual(a.persistent.generations.current, current);
});

Deno.test("a disk that comes back is copied to once the other one is stable", () => {
  const { pair } = written();
  const { a, b } = pair;
  comesBack(b);
  const answers = writeBlock(b, 6); // only a has it, and it waits for the flush
  pass(b, a);
  assert.equal(a.data[0], 5);
  pair.run();
  assert.deepEqual(answers, [true]);
  assert.equal(b.core.state.disk, "UpToDate");
  assert.deepEqual([a.data[0], b.data[0]], [6, 6]);
});

Deno.test("nothing is written that a report does not tell the peer", () => {
  const pair = new Pair(SIZE);
  const { a, b } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run();
  a.core.roles.secondary(() => {});
  b.core.disk.detach(false, () => {});
  pair.run(2);
  b.core.roles.primary(false, () => {});
  pair.run(2);
  b.core.disk.attach(b.disk(), () => {});
  const answers = writeBlock(b, 6);
  while (b.work()); // the log first
  pair.run();
  assert.deepEqual(answers, [true]);
  for (const { core } of [a, b]) {
    assert.equal(core.state.connection, "Connected");
    assert.equal(core.state.disk, "UpToDate");
  }
  assert.deepEqual([a.data[0], b.data[0]], [6, 6]);
});

Deno.test("who asked is asked although the disk fails before it is stable", () => {
  const { pair } = written();
  const { a, b } = pair;
  comesBack(b);
  a.failsFlushes = true;
  pair.run();
  assert.equal(a.core.state.disk, "Diskless");
  assert.equal(b.core.state.disk, "UpToDate");
  assert.equal(b.data[0], 5);
});

Deno.test("a word from before the report makes no returned disk unknown again", () => {
  const pair = new Pair(SIZE);
  const { a, b } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run();
  b.core.disk.detach(false, () => {});
  pair.run(2);
  b.core.disk.attach(b.disk(), () => {});
  b.core.roles.pauseSync(() => {}); // it tells that, still Negotiating
  for (const frame of b.sent.splice(0)) a.core.frame(frame);
  a.core.settle();
  while (a.work());
  assert.equal(a.core.state.peerDisk, "UpToDate");
  writeBlock(a, 6);
  while (a.work());
  pair.run(3);
  assert.deepEqual([a.data[0], b.data[0]], [6, 6]);
  assert.equal(a.core.bitmap?.count, 0);
});

/** Both lost power under A; A's disk comes late, and B serves A meanwhile. */
function servedByOther({ isMarked }: { readonly isMarked: boolean }): Pair {
  const pair = new Pair(SIZE);
  const { a, b } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run();
  const stable = b.data.slice();
  if (isMarked) writeBlock(a, 5);
  if (isMarked) { while (a.work()); }
  pair.cut();
  a.persistent = b.persistent;
  b.data.set(stable);
  a.restart();
  a.core.tick(pair.nowMs);
  pair.connect(a);
  pair.restart(b);
  pair.mend();
  a.core.roles.primary(false, () => {});
  pair.run(2);
  assert.equal(a.core.state.role, "Primary");
  return pair;
}

for (const isMarked of [true, false]) {
  Deno.test(`a Primary's own copy ${isMarked ? "with" : "without"} marks comes back alone`, () => {
    const pair = servedByOther({ isMarked });
    const { a } = pair;
    if (isMarked) a.bitmap[0] = 1; // from the activity log
    a.core.disk.attach(a.disk(), () => {});
    assert.equal(a.core.state.disk, "Negotiating");
    pair.cut();
    assert.equal(a.core.state.disk, isMarked ? "Diskless" : "UpToDate");
    let code = 0;
    a.core.disk.attach(a.disk(), (result) => code = result.code);
    assert.equal(code, isMarked ? 150 : 124);
  });
}

Deno.test("a Primary that saw a copy with marks takes no other one alone", () => {
  const pair = servedByOther({ isMarked: false });
  const { a, b } = pair;
  pair.cut();
  b.bitmap[0] = 1;
  pair.restart(b);
  pair.mend();
  assert.equal(a.core.state.peerDisk, "UpToDate");
  pair.cut();
  let code = 0;
  a.core.disk.attach(a.disk(), (result) => code = result.code);
  assert.equal(code, 150);
});
