import assert from "node:assert/strict";
import { sameGeneration } from "../decisions/generations_core.ts";
import { Pair, type TestNode, writeBlock } from "./volume_fixture.ts";

const SIZE = 1024 * 1024;

function words(node: TestNode): string {
  const { connection, role, peerRole, disk, peerDisk } = node.core.state;
  return `${connection} ${role}/${peerRole} ${disk}/${peerDisk}`;
}

function force(pair: Pair, node: TestNode): void {
  let code = 0;
  node.core.roles.primary(true, (result) => code = result.code);
  pair.run(1);
  assert.equal(code, 1);
}

/** A pair in sync, `a` Primary. */
function synced(): Pair {
  const pair = new Pair(SIZE);
  pair.up();
  force(pair, pair.a);
  pair.run();
  assert.equal(words(pair.a), "Connected Primary/Secondary UpToDate/UpToDate");
  assert.equal(words(pair.b), "Connected Secondary/Primary UpToDate/UpToDate");
  return pair;
}

Deno.test("two new volumes connect, both Inconsistent", () => {
  const pair = new Pair(SIZE);
  pair.up();
  assert.equal(
    words(pair.a),
    "Connected Secondary/Secondary Inconsistent/Inconsistent",
  );
});

Deno.test("a forced Primary becomes the source of a full resync", () => {
  const pair = synced();
  assert.equal(pair.a.core.bitmap?.count, 0);
  assert.equal(pair.b.core.bitmap?.count, 0);
  const [a, b] = [pair.a, pair.b].map((node) => node.persistent.generations);
  assert.ok(a !== undefined && b !== undefined);
  assert.ok(sameGeneration(a.current, b.current));
  assert.deepEqual([a.bitmap, a.history], [b.bitmap, b.history]);
});

Deno.test("a write at protocol C is answered when both have it", () => {
  const pair = synced();
  const answers = writeBlock(pair.a, 7, 8192);
  assert.deepEqual(answers, []);
  pair.run(1);
  assert.deepEqual(answers, [true]);
  assert.deepEqual(pair.b.data, pair.a.data);
});

Deno.test("writes during an outage are copied when the peer is back", () => {
  const pair = synced();
  pair.cut();
  const answers = writeBlock(pair.a, 9, 4096);
  pair.run(2);
  assert.deepEqual(answers, [true]);
  assert.equal(pair.a.core.bitmap?.count, 1);
  pair.mend();
  assert.equal(words(pair.a), "Connected Primary/Secondary UpToDate/UpToDate");
  assert.deepEqual(pair.b.data, pair.a.data);
});

Deno.test("a split brain is detected, and ended by discarding one side", () => {
  const pair = synced();
  pair.cut();
  force(pair, pair.b);
  writeBlock(pair.a, 1, 0);
  writeBlock(pair.b, 2, 4096);
  pair.run(2);
  pair.mend();
  assert.equal(pair.a.core.state.connection, "StandAlone");
  assert.equal(pair.b.core.state.connection, "StandAlone");
  pair.b.core.roles.secondary(() => {});
  pair.run(1);
  pair.connect(pair.b, true);
  pair.connect(pair.a);
  pair.run();
  assert.equal(words(pair.a), "Connected Primary/Secondary UpToDate/UpToDate");
  assert.deepEqual(pair.b.data, pair.a.data);
  assert.equal(pair.b.data[0], 1);
  assert.equal(pair.b.data[4096], 0);
});

Deno.test("what a node writes after a promised discard is not discarded", () => {
  const pair = synced();
  pair.a.core.roles.secondary(() => {});
  pair.cut();
  const history = [0x8n, 0x4n] as const;
  const lines = [[pair.a, 0x10n], [pair.b, 0x20n]] as const;
  for (const [node, current] of lines) {
    // Divided for the second time: their bitmaps do not count from one point.
    const generations = { current, bitmap: current + 0x100n, history };
    node.persistent = { ...node.persistent, generations };
    pair.restart(node);
  }
  pair.a.core.roles.disconnect(false, () => {});
  pair.connect(pair.a, true);
  pair.a.core.roles.primary(false, () => {});
  writeBlock(pair.a, 2, 4096);
  pair.run(2);
  pair.connectNow();
  pair.frames(2); // a report each, before either sees the connection end
  pair.a.core.roles.secondary(() => {});
  pair.run(1);
  for (const node of [pair.a, pair.b]) pair.connect(node);
  pair.run();
  for (const node of [pair.a, pair.b]) {
    assert.equal(node.core.state.connection, "StandAlone");
    assert.ok(node.lines.some((line) => line.includes("Split-Brain")));
  }
  assert.equal(pair.a.data[4096], 2);
});

Deno.test("a failing disk of the Primary is not seen by the application", () => {
  const pair = synced();
  pair.a.failsWrites = true;
  const answers = writeBlock(pair.a, 3, 0);
  pair.run(2);
  assert.deepEqual(answers, [true]);
  assert.equal(pair.a.core.state.disk, "Diskless");
  assert.equal(pair.b.data[0], 3);
  const into = new Uint8Array(4096);
  let isRead = false;
  pair.a.core.reads.read(0, into, (ok) => isRead = ok);
  pair.run(1);
  assert.ok(isRead);
  assert.equal(into[0], 3);
});

Deno.test("a write refused by a disk that is gone says nothing of the next", () => {
  const pair = synced();
  const { a, b } = pair;
  writeBlock(a, 4, 0); // the extent is in the activity log now
  pair.run(1);
  const answers = writeBlock(a, 5, 4096);
  const late = a.sent.splice(0);
  assert.equal(late.length, 1);
  b.core.disk.detach(true, () => {});
  pair.run(1);
  assert.equal(a.core.state.peerDisk, "Diskless");
  b.core.disk.attach(b.disk(), () => {});
  for (const frame of late) b.core.frame(frame);
  pair.run();
  assert.deepEqual(answers, [true]);
  assert.equal(words(a), "Connected Primary/Secondary UpToDate/UpToDate");
  assert.equal(words(b), "Connected Secondary/Primary UpToDate/UpToDate");
  assert.deepEqual([a.core.bitmap?.count, b.core.bitmap?.count], [0, 0]);
  assert.deepEqual(b.data, a.data);
});

Deno.test("two Primaries with the same data do not connect", () => {
  const pair = new Pair(SIZE);
  const { a, b } = pair;
  pair.up();
  a.core.roles.primary(true, ({ code }) => assert.equal(code, 1));
  pair.run();
  pair.cut();
  b.core.roles.primary(false, ({ code }) => assert.equal(code, 1));
  pair.mend();
  for (const { core } of [a, b]) {
    assert.equal(core.state.connection, "StandAlone");
    assert.match(core.roles.parting.why ?? "", /Multiple primaries/);
  }
  pair.connect(a);
  assert.equal(a.core.roles.parting.why, undefined);
  a.core.roles.disconnect(false, () => {});
  assert.equal(a.core.state.connection, "StandAlone");
  assert.equal(a.core.roles.parting.why, undefined, "by command");
});
