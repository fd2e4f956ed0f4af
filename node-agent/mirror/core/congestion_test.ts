/**
 * `on-congestion`: when a Primary runs ahead, what it tells, and how both
 * become equal again.
 *
 * @module
 */

import assert from "node:assert/strict";
import { congestedBy, congestionFillOf } from "./congestion_core.ts";
import { Pair, TEST_CONFIG } from "./volume_fixture.ts";
import type { VolumeConfig } from "./volume_types.ts";

const BLOCK = 4096;
const MIB = 1024 * 1024;
const PULL_AHEAD: Partial<VolumeConfig> = {
  protocol: "A",
  onCongestion: "pull-ahead",
  congestionFillBytes: MIB,
};

function congestedPair(config: Partial<VolumeConfig> = {}): Pair {
  const pair = new Pair(16 * MIB, { ...PULL_AHEAD, ...config });
  pair.up();
  pair.a.core.roles.primary(true, () => {});
  pair.run();
  assert.equal(pair.a.core.state.connection, "Connected");
  write(pair, 0, 9);
  pair.run(1);
  pair.a.queuedBytes = 1.5 * MIB;
  return pair;
}

function write(pair: Pair, block: number, value: number): void {
  let answer: boolean | undefined;
  const data = new Uint8Array(BLOCK).fill(value);
  pair.a.core.writes.write(block * BLOCK, data, (ok) => answer = ok);
  pair.a.core.settle();
  pair.a.work();
  assert.equal(answer, true, `write of block ${block}`);
}

function stand({ a, b }: Pair): string[] {
  return [a, b].map(({ core: { state } }) =>
    `${state.connection} ${state.disk}/${state.peerDisk}`
  );
}

Deno.test("congestion is judged by what is queued and by extents that the peer holds", () => {
  const config: VolumeConfig = { ...TEST_CONFIG, ...PULL_AHEAD };
  const idle = { queuedBytes: 0, resyncBytes: 0, heldMs: 0 };
  assert.equal(congestedBy(config, idle), undefined);
  assert.equal(
    congestedBy(config, { ...idle, queuedBytes: MIB }),
    "Congestion-fill threshold reached",
  );
  const resyncing = { ...idle, queuedBytes: MIB, resyncBytes: MIB };
  assert.equal(congestedBy(config, resyncing), undefined);
  assert.equal(
    congestedBy(config, { ...idle, heldMs: 1_000 }),
    "Congestion-extents threshold reached",
  );
  assert.equal(
    congestionFillOf({ ...config, congestionFillBytes: 0 }),
    Infinity,
  );
  const huge = congestionFillOf({ ...config, congestionFillBytes: 1e12 });
  assert.equal(huge, 256 * MIB);
});

Deno.test("a congested Primary runs ahead, and marks instead of sending", () => {
  const pair = congestedPair();
  write(pair, 0, 1); // sent: it was the last straw
  pair.run(1);
  assert.deepEqual(stand(pair), [
    "Ahead UpToDate/Outdated",
    "Behind Outdated/UpToDate",
  ]);
  const before = pair.b.data.slice();
  for (let block = 8; block < 12; block++) write(pair, block, 2);
  write(pair, 9, 3);
  const words = pair.a.sent.map(({ kind }) => kind);
  assert.deepEqual(words.filter((kind) => kind === "data"), []);
  assert.equal(words.filter((kind) => kind === "dirty").length, 4);
  pair.run(1);
  assert.deepEqual(pair.b.data, before, "the peer's data is whole, and old");
  assert.equal(pair.b.data[0], 1);
  assert.equal(pair.a.core.bitmap?.count, 4);
  assert.equal(pair.b.core.bitmap?.count, 4);
  assert.equal(pair.b.persistent.flags.consistent, true);
});

Deno.test("it waits until nothing has been on the way for a second, then resyncs", () => {
  const pair = congestedPair();
  write(pair, 0, 1);
  pair.run(1);
  for (let block = 8; block < 200; block++) write(pair, block, 2);
  pair.run(50);
  assert.equal(pair.a.core.state.connection, "Ahead", "still queued");
  pair.a.queuedBytes = 0;
  pair.run(9);
  assert.equal(pair.a.core.state.connection, "Ahead", "not for long enough");
  pair.run(60);
  assert.deepEqual(stand(pair), [
    "Connected UpToDate/UpToDate",
    "Connected UpToDate/UpToDate",
  ]);
  assert.deepEqual(pair.b.data, pair.a.data);
  assert.equal(pair.a.core.bitmap?.count, 0);
  const [a, b] = [pair.a, pair.b].map(({ persistent }) =>
    persistent.generations.current & ~1n
  );
  assert.equal(a, b);
});

Deno.test("writes between the bitmap and the resync are not forgotten", () => {
  const pair = congestedPair();
  const handlers = new Set(["before-resync-target"]);
  pair.b.core.config = { ...pair.b.core.config, handlers };
  write(pair, 0, 1);
  pair.run(1);
  write(pair, 8, 2);
  pair.a.queuedBytes = 0;
  pair.run(20);
  assert.ok(pair.b.lines.includes("helper before-resync-target"));
  assert.equal(pair.b.core.state.connection, "Behind");
  write(pair, 9, 3);
  write(pair, 8, 4);
  pair.b.endHelper("before-resync-target", 0);
  write(pair, 10, 5);
  pair.run(20);
  assert.equal(pair.b.core.state.connection, "Connected");
  assert.deepEqual(pair.b.data, pair.a.data);
});

Deno.test("a Primary that loses its disk while it is ahead has no good copy left", () => {
  const pair = congestedPair();
  write(pair, 0, 1);
  pair.run(1);
  write(pair, 8, 2);
  pair.a.core.disk.detach(true, () => {});
  pair.run(1);
  assert.deepEqual(stand(pair), [
    "Connected Diskless/Inconsistent",
    "Connected Inconsistent/Diskless",
  ]);
  let answer: boolean | undefined;
  pair.a.core.reads.read(8 * BLOCK, new Uint8Array(BLOCK), (ok) => answer = ok);
  pair.run(1);
  assert.equal(answer, false);
});

Deno.test("a link that breaks while it is ahead leads to a resync of the marks", () => {
  const pair = congestedPair();
  write(pair, 0, 1);
  pair.run(1);
  write(pair, 8, 2);
  pair.cut();
  write(pair, 9, 3);
  pair.a.queuedBytes = 0;
  pair.mend();
  assert.equal(pair.b.core.state.connection, "Connected");
  assert.deepEqual(pair.b.data, pair.a.data);
});

Deno.test("a resync that is congested is left, and waited for longer", () => {
  const pair = congestedPair();
  write(pair, 0, 1);
  pair.run(1);
  for (let block = 8; block < 4_000; block++) write(pair, block, 2);
  pair.a.queuedBytes = 0;
  while (pair.a.core.state.connection !== "SyncSource") pair.run(1);
  pair.a.queuedBytes = 3 * MIB;
  write(pair, 1, 7);
  pair.run(1);
  assert.deepEqual(stand(pair), [
    "Ahead UpToDate/Inconsistent",
    "Behind Inconsistent/UpToDate",
  ]);
  write(pair, 2, 8);
  pair.a.queuedBytes = 0;
  pair.run(15);
  assert.equal(pair.a.core.state.connection, "Ahead");
  pair.run(200);
  assert.deepEqual(stand(pair), [
    "Connected UpToDate/UpToDate",
    "Connected UpToDate/UpToDate",
  ]);
  assert.deepEqual(pair.b.data, pair.a.data);
});

Deno.test("only protocol A may leave a peer behind", () => {
  const codes = (["A", "B", "C"] as const).map((protocol) => {
    const pair = new Pair(MIB, { ...PULL_AHEAD, protocol });
    let code = 0;
    const options = { discardMyData: false, tentative: false };
    pair.a.core.roles.connect(options, (result) => code = result.code);
    return code;
  });
  assert.deepEqual(codes, [1, 155, 155]);
});

Deno.test("a Primary that is Behind answers what its peer has", () => {
  const pair = congestedPair();
  pair.run(1);
  write(pair, 8, 2);
  pair.run(1);
  const { a, b } = pair;
  a.core.roles.secondary(() => {});
  pair.run(1);
  b.core.roles.primary(false, () => {});
  pair.run(1);
  const { role, connection } = b.core.state;
  assert.deepEqual([role, connection], ["Primary", "Behind"]);
  let answer: boolean | undefined;
  const data = new Uint8Array(BLOCK).fill(6);
  b.core.writes.write(20 * BLOCK, data, (ok) => answer = ok);
  b.core.settle();
  b.work();
  b.work();
  assert.equal(answer, undefined, "its own disk is about to be replaced");
  pair.run(1);
  assert.equal(answer, true);
  assert.equal(a.data[20 * BLOCK], 6);
  a.queuedBytes = 0;
  pair.run(60);
  assert.deepEqual(a.data, b.data);
});

Deno.test("an empty resync ends it, whatever the Primary says meanwhile", () => {
  const pair = congestedPair();
  pair.run(1);
  pair.a.queuedBytes = 0;
  pair.run(60);
  assert.deepEqual(stand(pair), [
    "Connected UpToDate/UpToDate",
    "Connected UpToDate/UpToDate",
  ]);
});

Deno.test("a word of a Primary that has not heard of its target is an old one", () => {
  const pair = congestedPair();
  const { a, b } = pair;
  const handlers = new Set(["before-resync-target"]);
  b.core.config = { ...b.core.config, handlers };
  pair.run(1);
  write(pair, 8, 2);
  a.queuedBytes = 0;
  pair.run(20);
  b.endHelper("before-resync-target", 0);
  assert.equal(b.core.state.connection, "SyncTarget");
  a.core.link.tellState(); // it still says Ahead
  for (const frame of a.sent.splice(0)) b.core.frame(frame);
  assert.equal(b.core.state.connection, "SyncTarget");
  pair.run(20);
  assert.deepEqual(stand(pair), [
    "Connected UpToDate/UpToDate",
    "Connected UpToDate/UpToDate",
  ]);
  assert.deepEqual(b.data, a.data);
});

Deno.test("with a register the peer leaves it before anything is answered", () => {
  const pair = new Pair(16 * MIB, { ...PULL_AHEAD, fencedByRegister: true });
  const { a } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run(1);
  a.answer("done", 1);
  pair.run();
  assert.deepEqual(a.wishes.map(({ kind }) => kind), ["grow"]);
  a.answer("done", 2);
  write(pair, 0, 1);
  a.queuedBytes = 1.5 * MIB;
  pair.run(1);
  assert.equal(a.core.state.connection, "Ahead");
  assert.deepEqual(a.wishes.map(({ kind }) => kind), ["shrink"]);
  let answer: boolean | undefined;
  const data = new Uint8Array(BLOCK).fill(2);
  a.core.writes.write(8 * BLOCK, data, (ok) => answer = ok);
  pair.run(1);
  assert.equal(answer, undefined);
  a.answer("done", 3);
  pair.run(1);
  assert.equal(answer, true);
});

Deno.test("who was a target does not run ahead of a source that makes its data stable", () => {
  const pair = congestedPair({ congestionFillBytes: 16 * MIB });
  const { a, b } = pair;
  a.core.disk.detach(true, () => {});
  pair.run(2);
  a.core.writes.write(0, new Uint8Array(BLOCK).fill(2), () => {});
  pair.run(1);
  a.core.disk.attach(a.disk(), () => {});
  // B does not flush.
  const pass = () => {
    for (const frame of a.sent.splice(0)) b.core.frame(frame);
    b.core.settle();
    for (const frame of b.sent.splice(0)) a.core.frame(frame);
    a.core.settle();
    a.work();
  };
  for (let left = 50; a.core.state.disk !== "UpToDate"; left--) {
    assert.ok(left > 0, stand(pair).join());
    if (b.core.state.connection !== "SyncSource") b.work();
    pass();
  }
  assert.equal(b.core.state.connection, "SyncSource");
  a.queuedBytes = 17 * MIB;
  for (let left = 5; left > 0; left--) pass();
  assert.equal(a.core.state.connection, "Connected");
  pair.run(1);
  assert.deepEqual(stand(pair), [
    "Ahead UpToDate/Outdated",
    "Behind Outdated/UpToDate",
  ]);
  a.queuedBytes = 0;
  pair.run(60);
  assert.deepEqual(stand(pair), [
    "Connected UpToDate/UpToDate",
    "Connected UpToDate/UpToDate",
  ]);
});
