/**
 * Every handler of a configuration is called when it is due, on the node where
 * it is due, once, and those that are asked decide.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Pair, primaryPair, type TestNode } from "./volume_fixture.ts";
import type { VolumeConfig } from "./volume_types.ts";

const HANDLERS = [
  "before-resync-source",
  "before-resync-target",
  "after-resync-target",
  "unfence-peer",
  "out-of-sync",
  "pri-on-incon-degr",
];
const FENCING: Partial<VolumeConfig> = { fencing: "resource-only" };

/** Equal disks, `a` is Primary; from then on handlers are configured. */
function watched(config: Partial<VolumeConfig> = {}): Pair {
  const pair = primaryPair(config);
  for (const { core } of [pair.a, pair.b]) {
    core.config = { ...core.config, handlers: new Set(HANDLERS) };
  }
  return pair;
}

/** What was called on a node and has not ended, in order. */
function called({ helpers }: TestNode): string[] {
  return helpers.map(({ name }) => name);
}

/** The peer misses a write, and is back: a resync of one block is due. */
function missWrite(pair: Pair): void {
  pair.cut();
  const answers: boolean[] = [];
  pair.a.core.writes.write(0, new Uint8Array(4096).fill(7), (ok) => {
    answers.push(ok);
  });
  pair.run(2);
  assert.deepEqual(answers, [true]);
  pair.mend();
}

Deno.test("a resync asks the source, then the target, and tells both", () => {
  const pair = watched(FENCING);
  const { a, b } = pair;
  missWrite(pair);
  assert.deepEqual([called(a), called(b)], [["before-resync-source"], []]);
  assert.equal(a.core.state.connection, "WFBitMapS");
  a.endHelper("before-resync-source", 0);
  pair.run(5);
  assert.deepEqual([called(a), called(b)], [[], ["before-resync-target"]]);
  assert.equal(b.core.state.disk, "Outdated", "nothing is overwritten yet");
  b.endHelper("before-resync-target", 0);
  pair.run();
  assert.deepEqual(called(a), ["unfence-peer"]);
  assert.deepEqual(called(b), ["after-resync-target"]);
  assert.deepEqual(b.data, a.data);
});

Deno.test("without a fencing policy nobody is unfenced", () => {
  const pair = watched();
  missWrite(pair);
  pair.a.endHelper("before-resync-source", 0);
  pair.run(5);
  pair.b.endHelper("before-resync-target", 0);
  pair.run();
  assert.deepEqual(called(pair.a), []);
  assert.equal(pair.b.core.state.disk, "UpToDate");
});

Deno.test("a handler before a resync that fails drops the connection", () => {
  for (const side of ["source", "target"] as const) {
    const pair = watched();
    const { a, b } = pair;
    missWrite(pair);
    a.endHelper("before-resync-source", side === "source" ? 1 : 0);
    pair.run(5);
    if (side === "target") b.endHelper("before-resync-target", 1);
    pair.run(5);
    const { core } = side === "source" ? a : b;
    assert.equal(core.state.connection, "StandAlone", side);
    assert.notEqual(b.core.state.disk, "Inconsistent", side);
    assert.equal(b.data[0], 0, side);
    const handler = `before-resync-${side}`;
    const why = `error ${handler} failed (1): connection dropped`;
    assert.ok((side === "source" ? a : b).lines.includes(why));
    // The next try finds the same block.
    const other = side === "source" ? b : a;
    assert.equal(other.core.state.connection, "WFConnection");
    pair.connect(side === "source" ? a : b);
    pair.run(5);
    a.endHelper("before-resync-source", 0);
    pair.run(5);
    b.endHelper("before-resync-target", 0);
    pair.run();
    assert.deepEqual(b.data, a.data);
  }
});

Deno.test("what an old userland says of before-resync-source is ignored", () => {
  const pair = watched();
  missWrite(pair);
  pair.a.endHelper("before-resync-source", 3);
  pair.run(5);
  assert.deepEqual(called(pair.b), ["before-resync-target"]);
});

Deno.test("a resync waits for its handlers as long as they take", () => {
  const pair = watched();
  const { a, b } = pair;
  missWrite(pair);
  pair.run(900); // 90 s
  // What is written meanwhile is copied, too.
  a.core.writes.write(8192, new Uint8Array(4096).fill(8), () => {});
  pair.run(5);
  a.endHelper("before-resync-source", 0);
  pair.run(900);
  b.endHelper("before-resync-target", 0);
  pair.run();
  assert.equal(b.core.state.disk, "UpToDate");
  assert.deepEqual(b.data, a.data);
});

Deno.test("an answer of before-resync-source after the connection is void", () => {
  const pair = watched();
  missWrite(pair);
  pair.cut();
  pair.a.endHelper("before-resync-source", 1);
  assert.equal(pair.a.core.state.connection, "WFConnection");
});

Deno.test("both nodes hear of what a verify finds, and of nothing else", () => {
  for (const differs of [true, false]) {
    const pair = watched();
    const { a, b } = pair;
    if (differs) b.data[40_960] = 99;
    a.core.verify.start({}, ({ code }) => assert.equal(code, 1));
    pair.run();
    assert.equal(a.core.state.connection, "Connected");
    const heard = differs ? ["out-of-sync"] : [];
    assert.deepEqual([called(a), called(b)], [heard, heard]);
  }
});

Deno.test("a Primary that loses the last good copy calls pri-on-incon-degr", () => {
  const pair = watched();
  const { a, b } = pair;
  a.core.disk.detach(true, () => {});
  pair.run(2);
  assert.deepEqual(called(a), [], "the peer still has one");
  pair.cut();
  assert.deepEqual([called(a), called(b)], [["pri-on-incon-degr"], []]);
});
