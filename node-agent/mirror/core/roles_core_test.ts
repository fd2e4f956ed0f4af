import assert from "node:assert/strict";
import { Pair, type TestNode } from "./volume_fixture.ts";

const SIZE = 1024 * 1024;

function codeOf(command: (done: (result: { code: number }) => void) => void) {
  const codes: number[] = [];
  command(({ code }) => codes.push(code));
  return codes;
}

function promoted(node: TestNode, force = false): number[] {
  return codeOf((done) => node.core.roles.primary(force, done));
}

Deno.test("a new pair is declared equal, and nothing is copied", () => {
  const pair = new Pair(SIZE);
  pair.up();
  const codes = codeOf((done) => pair.a.core.roles.newCurrentUuid(true, done));
  pair.run(1);
  assert.deepEqual(codes, [1]);
  for (const node of [pair.a, pair.b]) {
    const { disk, peerDisk, connection } = node.core.state;
    assert.deepEqual([connection, disk, peerDisk], [
      "Connected",
      "UpToDate",
      "UpToDate",
    ]);
    assert.equal(node.core.bitmap?.count, 0);
  }
  assert.equal(
    pair.a.persistent.generations.current,
    pair.b.persistent.generations.current,
  );
});

Deno.test("data that somebody wrote are not declared equal", () => {
  const pair = new Pair(SIZE);
  pair.up();
  promoted(pair.a, true);
  pair.run();
  const codes = codeOf((done) => pair.a.core.roles.newCurrentUuid(true, done));
  pair.run(1);
  assert.deepEqual(codes, [151]);
});

Deno.test("a promotion waits for the word that the peer has demoted", () => {
  const pair = new Pair(SIZE);
  pair.up();
  promoted(pair.a, true);
  pair.run();
  pair.a.core.roles.secondary(() => {});
  pair.run(1);
  pair.b.core.change({ peerRole: "Primary" }); // it has not heard of it
  const codes = promoted(pair.b);
  assert.deepEqual(codes, []);
  pair.a.core.link.tellState();
  pair.run(1);
  assert.deepEqual(codes, [1]);
});

Deno.test("a promotion beside a Primary is refused after a while", () => {
  const pair = new Pair(SIZE);
  pair.up();
  promoted(pair.a, true);
  pair.run();
  const codes = promoted(pair.b);
  pair.run(20);
  assert.deepEqual(codes, [-1]);
});

Deno.test("a write behind the last flush of a demotion is not answered", () => {
  const pair = new Pair(SIZE);
  pair.up();
  promoted(pair.a, true);
  pair.run();
  const { roles, writes } = pair.a.core;
  writes.write(0, new Uint8Array(4096).fill(1), () => {});
  pair.run(1);
  const codes = codeOf((done) => roles.secondary(done));
  const answers: boolean[] = [];
  writes.write(4096, new Uint8Array(4096).fill(2), (ok) => answers.push(ok));
  pair.run(1);
  assert.deepEqual(codes, [1]);
  assert.deepEqual(answers, [false]);
});

Deno.test("a promotion waits for what was received, also when the link goes", () => {
  const pair = new Pair(SIZE, { protocol: "A" });
  const { a, b } = pair;
  pair.up();
  promoted(a, true);
  pair.run();
  const codes = promoted(b); // a is Primary: it waits
  const { writes } = a.core;
  writes.write(0, new Uint8Array(4096).fill(1), () => {});
  a.core.settle();
  a.work(); // the activity log
  writes.flush(() => {});
  writes.write(0, new Uint8Array(4096).fill(2), () => {});
  a.core.settle();
  for (const frame of a.sent.splice(0)) b.core.frame(frame);
  b.core.link.linkDown();
  assert.deepEqual(codes, [], "a write waits behind the flush");
  b.work();
  assert.deepEqual(codes, [], "and is not stable");
  b.work();
  assert.deepEqual(codes, [1]);
  assert.equal(b.data[0], 2);
});

Deno.test("a promotion whose answer is lost asks the fence handler", () => {
  const pair = new Pair(SIZE, {
    fencing: "resource-only",
    handlers: new Set(["fence-peer"]),
  });
  const { b } = pair;
  pair.up();
  promoted(pair.a, true);
  pair.run();
  pair.a.core.roles.secondary(() => {});
  pair.run(1);
  const codes = promoted(b); // asks a
  b.core.link.linkDown();
  assert.deepEqual(codes, []);
  assert.deepEqual(b.lines.filter((line) => line.startsWith("helper")), [
    "helper fence-peer",
  ]);
});

Deno.test("a pair with a fencing policy parts, and one copy is outdated", () => {
  for (const asker of ["a", "b"] as const) {
    const pair = new Pair(SIZE, { fencing: "resource-only" });
    pair.up();
    promoted(pair.a, true);
    pair.run();
    const codes = codeOf((done) =>
      pair[asker].core.roles.disconnect(false, done)
    );
    pair.run(2);
    assert.deepEqual(codes, [1], asker);
    assert.equal(pair.a.core.state.disk, "UpToDate");
    assert.equal(pair.b.core.state.disk, "Outdated");
    assert.equal(pair.a.core.state.peerDisk, "Outdated");
  }
});

Deno.test("a peer that is back thaws what its fence handler could not", () => {
  const pair = new Pair(SIZE, {
    fencing: "resource-and-stonith",
    handlers: new Set(["fence-peer"]),
  });
  const { a } = pair;
  pair.up();
  promoted(a, true);
  pair.run();
  pair.cut();
  assert.ok(a.core.state.suspendedFencing);
  a.endHelper("fence-peer", 1); // it failed
  assert.ok(a.core.state.suspendedFencing);
  pair.mend();
  assert.ok(!a.core.state.suspendedFencing);
});

Deno.test("a source that loses power knows that the other disk is behind", () => {
  const pair = new Pair(SIZE, { fencing: "resource-and-stonith" });
  const { a, b } = pair;
  pair.up();
  promoted(a, true);
  pair.run();
  b.core.roles.invalidate(() => {});
  while (a.core.state.connection !== "SyncSource") pair.frames(1);
  assert.equal(a.core.state.peerDisk, "Inconsistent");
  pair.isCut = true;
  pair.restart(a);
  assert.deepEqual([a.core.state.disk, a.core.state.peerDisk], [
    "UpToDate",
    "Outdated",
  ]);
  const codes = codeOf((done) => a.core.roles.outdate(done));
  assert.deepEqual(codes, [-2], "nobody would have current data");
  assert.equal(a.core.state.disk, "UpToDate");
});

Deno.test("who is about to be Primary lets nobody else be it", () => {
  const pair = new Pair(SIZE, { protocol: "B" });
  const { a, b } = pair;
  pair.up();
  promoted(a, true);
  pair.run();
  a.core.roles.secondary(() => {});
  pair.run(1);
  const deliver = (from: TestNode, to: TestNode) => {
    for (const frame of from.sent.splice(0)) to.core.frame(frame);
  };
  b.core.flusher.written();
  const ours = promoted(b);
  deliver(b, a);
  deliver(a, b); // it agrees; our disk is flushed first
  assert.deepEqual(ours, []);
  b.core.link.tellState();
  deliver(b, a);
  const theirs = promoted(a);
  deliver(a, b);
  deliver(b, a);
  assert.deepEqual(theirs, [-1]);
  b.work();
  assert.deepEqual(ours, [1]);
});

Deno.test("nobody serves what the former Primary made stable, and it did not", () => {
  const pair = new Pair(SIZE);
  const { a, b } = pair;
  pair.up();
  promoted(a, true);
  pair.run();
  a.core.writes.write(0, new Uint8Array(4096), () => {});
  pair.run(1);
  pair.isCut = true;
  pair.run(1);
  assert.equal(b.core.flusher.isStable, false);
  const codes = promoted(b);
  assert.deepEqual([codes, b.core.state.role], [[], "Secondary"]);
  b.work();
  assert.deepEqual([codes, b.core.state.role], [[1], "Primary"]);
});
