/**
 * Sizes beside everything else: disks that come and go, new volumes, peers that
 * say what cannot be or nothing at all.
 *
 * @module
 */

import assert from "node:assert/strict";
import {
  assertSameData,
  OLD,
  resize,
  synced,
  words,
  write,
} from "./resize_fixture.ts";
import { Pair, type TestNode } from "./volume_fixture.ts";

const NEW = 2 * OLD;

function attach(node: TestNode): void {
  node.core.disk.attach(node.disk(), () => {});
}

Deno.test("a disk that was away while the volume grew is copied behind its size", () => {
  const pair = synced();
  const { a, b } = pair;
  pair.cut();
  a.enlarge(NEW, 7);
  b.enlarge(NEW, 8);
  // It is said to be equal, and the other node knows nothing of that.
  const wish = { assumePeerHasSpace: true, assumeClean: true };
  assert.equal(resize(a, wish).code, 1);
  b.core.disk.detach(true, () => {});
  pair.mend();
  attach(b);
  assert.equal(b.core.bitmap?.count, OLD / 4096);
  pair.run();
  assert.equal(words(a), "Connected Primary/Secondary UpToDate/UpToDate");
  assert.equal(b.data[NEW - 1], 7);
});

Deno.test("without a disk a Primary does not take the size of a new one", () => {
  const pair = synced();
  const { a, b } = pair;
  a.core.disk.detach(true, () => {});
  pair.run(2);
  pair.cut();
  b.persistent = new Pair(OLD).b.persistent; // as create-md leaves it
  b.enlarge(NEW, 0);
  pair.restart(b);
  pair.mend();
  assert.equal(a.core.sizeBytes, OLD);
});

for (const [agreedBytes, backingBytes] of [[NEW, OLD], [2 ** 51, 2 ** 51]]) {
  Deno.test(`a peer with ${agreedBytes} of ${backingBytes} bytes is not believed`, () => {
    const pair = synced();
    const { a, b } = pair;
    b.core.disk.detach(true, () => {});
    pair.run(2);
    pair.cut();
    pair.connectNow();
    a.core.settle();
    const [frame] = a.sent.splice(0);
    assert.equal(frame?.kind, "report");
    if (frame?.kind !== "report") return;
    const { report } = frame;
    b.core.frame({
      ...frame,
      report: {
        ...report,
        agreedBytes: agreedBytes ?? 0,
        backingBytes: backingBytes ?? 0,
      },
    });
    assert.equal(b.core.sizeBytes, OLD);
    assert.equal(b.core.state.connection, "StandAlone");
  });
}

Deno.test("a peer that never agrees to the copy holds no write for ever", () => {
  const pair = synced();
  const { a, b } = pair;
  a.enlarge(NEW, 1);
  b.enlarge(NEW, 2);
  resize(a);
  b.core.link.agreement.asked = () => {}; // it is up, and mute
  pair.run(2);
  const answers = write(a, 0, 5);
  pair.run(2);
  assert.deepEqual(answers, [], "it is held");
  pair.run(400);
  assert.deepEqual(answers, [true]);
});

Deno.test("a Primary's disk that lacks something is no source", () => {
  const pair = synced({ onIoError: "pass_on" });
  const { a, b } = pair;
  a.failsWrites = true;
  write(a, 0, 1);
  pair.run(1);
  a.failsWrites = false;
  assert.equal(words(a), "Connected Primary/Secondary Inconsistent/UpToDate");
  a.enlarge(NEW, 1);
  b.enlarge(NEW, 2);
  assert.equal(resize(a).code, -2);
  const asked = resize(b);
  let code = 0;
  a.core.roles.invalidateRemote((result) => code = result.code);
  pair.run(5);
  assert.deepEqual([asked.code, code], [-2, -2]);
  b.core.roles.syncMarked(false, (result) => code = result.code);
  pair.run(5);
  assert.equal(code, -2);
  assert.equal(words(a), "Connected Primary/Secondary Inconsistent/UpToDate");
});

/** B has grown for a Primary that was killed before it heard of that. */
function grownThere(): Pair {
  const pair = synced();
  const { a, b } = pair;
  a.enlarge(NEW, 1);
  b.enlarge(NEW, 2);
  resize(a);
  for (const frame of a.sent.splice(0)) b.core.frame(frame);
  assert.deepEqual([a.core.sizeBytes, b.core.sizeBytes], [OLD, NEW]);
  pair.cut();
  pair.restart(a);
  b.core.disk.detach(true, () => {});
  return pair;
}

Deno.test("a Secondary whose disk had grown alone goes by the peer's size", () => {
  const pair = grownThere();
  const { a, b } = pair;
  pair.mend();
  assert.equal(words(b), "Connected Secondary/Secondary Diskless/UpToDate");
  assert.equal(b.core.sizeBytes, OLD);
  attach(b);
  pair.run();
  assert.deepEqual([a.core.sizeBytes, b.core.sizeBytes], [NEW, NEW]);
  assert.equal(words(a), "Connected Secondary/Secondary UpToDate/UpToDate");
  assert.equal(a.data[NEW - 1], b.data[NEW - 1]);
});

Deno.test("a disk that grew alone counts again when it is back, with nobody there", () => {
  const pair = grownThere();
  const { b } = pair;
  pair.mend();
  assert.equal(b.core.sizeBytes, OLD);
  pair.cut();
  attach(b);
  assert.equal(b.core.sizeBytes, NEW);
  b.core.roles.primary(true, () => {});
  assert.equal(b.persistent.agreedBytes, NEW);
});

Deno.test("a Primary without a disk serves no smaller peer", () => {
  const pair = synced();
  const { a, b } = pair;
  pair.cut();
  a.enlarge(NEW, 7);
  const wish = { assumePeerHasSpace: true, assumeClean: true };
  assert.equal(resize(a, wish).code, 1);
  a.core.disk.detach(true, () => {});
  pair.mend();
  assert.equal(a.core.sizeBytes, NEW);
  assert.equal(words(a), "StandAlone Primary/Unknown Diskless/DUnknown");
  assert.match(a.lines.join("\n"), /peer's volume is too small/);
  assert.equal(b.core.sizeBytes, OLD);
});

Deno.test("a peer that does not grow is parted from, and writes go on", () => {
  const pair = synced();
  const { a, b } = pair;
  for (const node of [a, b]) node.enlarge(2 * OLD, 0);
  b.core.resize.requested = () => {};
  const answer = resize(a);
  pair.run(300);
  assert.deepEqual([answer.code, a.core.state.connection], [-999, "Connected"]);
  pair.run(200); // 50 s: ko-count × timeout is 42 s
  assert.equal(answer.code, -21);
  assert.match(answer.why ?? "", /lost in the middle/);
  assert.ok(a.lines.some((line) => line.includes("a resize is not answered")));
  const answers = write(a, 0, 7);
  pair.run(1);
  assert.deepEqual(answers, [true]);
});

Deno.test("a new disk that grew before it met its peer is to be copied whole", () => {
  const pair = new Pair(OLD);
  const { a, b } = pair;
  const nodes = [a, b];
  for (const node of nodes) {
    node.bitmap.fill(0xff); // as create-md does
    node.core.disk.attach(node.disk(), () => {});
  }
  a.enlarge(NEW, 1);
  b.enlarge(NEW, 2);
  for (const node of nodes) pair.connect(node);
  pair.run();
  assert.deepEqual(nodes.map(({ core }) => core.bitmap?.count), [512, 512]);
  // Both are declared good: what is copied in the end are the marked blocks.
  pair.cut();
  for (const { core } of nodes) core.roles.primary(true, () => {});
  pair.run();
  b.core.roles.secondary(() => {});
  pair.run(1);
  for (const { core } of nodes) core.roles.disconnect(true, () => {});
  pair.connect(b, true);
  pair.connect(a);
  pair.mend();
  assert.equal(words(b), "Connected Secondary/Primary UpToDate/UpToDate");
  assertSameData(pair);
});
