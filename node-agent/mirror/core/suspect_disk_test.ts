/**
 * A disk that failed with writes on it that were not stable, and disks that
 * come back beside a Primary: nobody goes on with data that lack something.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Pair, type TestNode, writeBlock } from "./volume_fixture.ts";

const SIZE = 1024 * 1024;

function synced(primary: "a" | "b" = "a"): Pair {
  const pair = new Pair(SIZE);
  pair.up();
  pair[primary].core.roles.primary(true, () => {});
  pair.run();
  assert.equal(pair.a.core.state.peerDisk, "UpToDate");
  return pair;
}

/** B is Primary, has let its disk go, and has written 5 through a. */
function bareWriter(): Pair {
  const pair = synced("b");
  const { b } = pair;
  b.core.disk.detach(false, () => {});
  pair.run(2);
  writeBlock(b, 5);
  pair.run(1);
  return pair;
}

function read(pair: Pair, node: TestNode): number | undefined {
  const into = new Uint8Array(4096);
  let answer: boolean | undefined;
  node.core.reads.read(0, into, (ok) => answer = ok);
  pair.run(1);
  return answer ? into[0] : undefined;
}

function attach(node: TestNode): number {
  let code = 0;
  node.core.disk.attach(node.disk(), (result) => code = result.code);
  return code;
}

function loseDisk(pair: Pair, node: TestNode): void {
  node.failsReads = true;
  assert.equal(read(pair, node), undefined);
  assert.equal(node.core.state.disk, "Diskless");
}

/** Without a disk B takes A back only if that was up all the time. */
function mustTellRestart(pair: Pair, isRestarted: boolean): void {
  const { a, b } = pair;
  if (isRestarted) {
    a.restart();
    assert.equal(attach(a), 1);
    pair.connect(a);
  }
  pair.mend();
  const { connection } = b.core.state;
  assert.equal(connection, isRestarted ? "StandAlone" : "Connected");
}

/** The flush of a Secondary's disk fails, with a write on it. */
function failFlush(pair: Pair, node: TestNode): void {
  node.failsFlushes = true;
  pair.a.core.writes.flush(() => {});
  pair.run(1);
  assert.equal(node.core.state.disk, "Diskless");
  node.failsFlushes = false;
}

Deno.test("a copy that lost writes is not good by itself, also after a restart", () => {
  const pair = synced();
  writeBlock(pair.a, 7);
  pair.run(1);
  failFlush(pair, pair.b);
  pair.cut();
  assert.equal(attach(pair.b), 1);
  assert.equal(pair.b.core.state.disk, "Outdated");
  assert.equal(pair.b.persistent.flags.wasUpToDate, false);
  pair.mend();
  pair.run();
  assert.equal(pair.b.core.state.disk, "UpToDate");
  assert.deepEqual(pair.b.data, pair.a.data);
});

Deno.test("a Primary does not get a disk back that lost what it showed", () => {
  const pair = synced();
  const { a, b } = pair;
  writeBlock(a, 7);
  pair.run(1);
  pair.cut();
  b.core.roles.primary(false, () => {});
  pair.run(1);
  assert.equal(read(pair, b), 7);
  b.failsFlushes = true; // of what it got as Secondary
  b.core.writes.flush(() => {});
  pair.run(1);
  assert.equal(b.core.state.disk, "Diskless");
  assert.equal(attach(b), 150);
});

Deno.test("the only copy comes back beside a Primary without a disk", () => {
  const pair = synced("b");
  const { a, b } = pair;
  writeBlock(b, 5);
  pair.run(100);
  b.core.disk.detach(false, () => {});
  pair.run(2);
  a.core.disk.detach(true, () => {});
  pair.run(2);
  assert.deepEqual([read(pair, b), ...writeBlock(b, 6)], [undefined, false]);
  assert.equal(attach(a), 1);
  pair.run(2);
  assert.equal(a.core.state.disk, "UpToDate");
  assert.equal(read(pair, b), 5);
});

Deno.test("a copy that lost writes is refused by a Primary without a disk", () => {
  const pair = synced("b");
  const { a, b } = pair;
  b.core.disk.detach(false, () => {});
  pair.run(2);
  const answers = writeBlock(b, 5);
  pair.run(1);
  assert.deepEqual(answers, [true]);
  a.failsFlushes = true;
  b.core.writes.flush(() => {});
  pair.run(1);
  a.failsFlushes = false;
  assert.equal(attach(a), 1);
  pair.run(2);
  assert.equal(b.core.state.connection, "StandAlone");
  assert.equal(read(pair, b), undefined);
});

Deno.test("a peer that was restarted may lack what a bare Primary was told", () => {
  const pair = bareWriter();
  const { a, b } = pair;
  pair.cut();
  a.restart();
  assert.equal(attach(a), 1);
  pair.connect(a);
  pair.mend();
  assert.equal(b.core.state.connection, "StandAlone");
});

Deno.test("so may one that was away when the Primary's disk went", () => {
  for (const isRestarted of [true, false]) {
    const pair = synced("b");
    const { b } = pair;
    writeBlock(b, 5);
    pair.run(1); // it is only in the cache of a's disk
    pair.isCut = true;
    pair.run(1);
    b.core.flusher.request(() => {});
    b.work();
    loseDisk(pair, b);
    mustTellRestart(pair, isRestarted);
  }
});

Deno.test("so may the former Primary, beside one that took its place", () => {
  for (const isRestarted of [true, false]) {
    const pair = synced();
    const { a, b } = pair;
    pair.isCut = true;
    pair.run(1);
    // What A had answered it may have lost with its power, and B does not know.
    b.core.roles.primary(false, () => {});
    pair.run(1);
    loseDisk(pair, b);
    a.core.roles.secondary(() => {});
    pair.run(1);
    mustTellRestart(pair, isRestarted);
  }
});

Deno.test("so may one that had no disk when this node took the role", () => {
  const pair = synced("b");
  pair.restartBoth(); // B's disk may hold a write that failed
  pair.mend();
  pair.a.core.roles.primary(false, () => {});
  pair.run(1);
  loseDisk(pair, pair.a);
  assert.equal(attach(pair.b), 1);
  pair.run(1);
  assert.equal(pair.a.core.state.connection, "StandAlone");
});

Deno.test("a peer that only was away goes on with a bare Primary", () => {
  const pair = bareWriter();
  const { a, b } = pair;
  pair.cut();
  pair.mend();
  assert.equal(a.core.state.connection, "Connected");
  assert.equal(read(pair, b), 5);
});

Deno.test("a Primary without good data does not go on with another's", () => {
  const pair = bareWriter();
  const { a, b } = pair;
  b.core.disk.attach(b.disk(), () => {});
  b.core.roles.pauseSync(() => {});
  pair.run(2);
  assert.equal(b.core.state.disk, "Inconsistent");
  pair.cut();
  a.core.roles.primary(false, () => {});
  pair.run(1);
  writeBlock(a, 9);
  pair.run(1);
  a.core.roles.secondary(() => {});
  pair.run(1);
  pair.mend();
  assert.equal(b.core.state.connection, "StandAlone");
  assert.equal(b.core.state.role, "Primary");
});

Deno.test("a disk that was being negotiated has shown nothing", () => {
  const pair = bareWriter();
  const { a, b } = pair;
  const old = b.disk();
  pair.isCut = true; // b does not know it yet
  b.core.disk.attach(old, () => {});
  pair.run(1);
  assert.equal(b.core.state.disk, "Diskless");
  assert.equal(attach(b), 150, "it lacks what was written through the peer");
  pair.mend();
  assert.equal(a.core.state.peerRole, "Primary");
});

Deno.test("a disk that could not be attached has shown nothing", () => {
  const pair = bareWriter();
  const { a, b } = pair;
  b.failsLog = true;
  assert.equal(attach(b), 118);
  b.failsLog = false;
  a.core.disk.detach(true, () => {});
  pair.run(2);
  assert.equal(attach(b), 150, "it lacks what was written through the peer");
});

Deno.test("who reads of a disk that fails is answered", () => {
  const pair = new Pair(SIZE, { protocol: "A" });
  const { a, b } = pair;
  pair.up();
  b.core.roles.primary(true, () => {});
  pair.run();
  b.core.disk.detach(false, () => {});
  pair.run(2);
  const answers: boolean[] = [];
  writeBlock(b, 5);
  b.core.writes.flush(() => {});
  b.core.reads.read(8192, new Uint8Array(4096), (ok) => answers.push(ok));
  for (const frame of b.sent.splice(0)) a.core.frame(frame);
  assert.ok(!a.core.replica.isDrained, "it waits behind the flush");
  a.core.disk.detach(true, () => {});
  pair.run(2);
  assert.equal(b.core.state.connection, "Connected");
  assert.deepEqual(answers, [false]);
});

Deno.test("a bare Primary is not served by a copy that never got its writes", () => {
  const pair = synced("b");
  const { a, b } = pair;
  pair.cut();
  writeBlock(b, 5);
  pair.run(2);
  b.core.disk.detach(true, () => {});
  pair.run(2);
  // As if a had been about to become its target on a link that stands.
  b.core.link.linkUp({ resolveConflicts: true });
  b.core.change({ connection: "Connected", peerDisk: "Inconsistent" });
  const { generations } = a.persistent;
  const names = [generations.current, generations.bitmap];
  const [current = "", bitmap = ""] = names.map((each) =>
    each.toString(16).toUpperCase().padStart(16, "0")
  );
  const none = "0".repeat(16);
  b.core.frame({
    kind: "state",
    state: {
      role: "Secondary",
      disk: "UpToDate",
      connection: "Connected",
      paused: false,
      generations: { current, bitmap, history: [none, none] },
      dirtyBits: 0,
    },
  });
  assert.equal(b.core.state.peerDisk, "Inconsistent");
});

Deno.test("an old disk is let go when the peer's goes while it is negotiated", () => {
  const pair = bareWriter();
  const { a, b } = pair;
  b.core.disk.attach(b.disk(), () => {});
  a.core.disk.detach(true, () => {}); // before it hears of it
  pair.run(5);
  assert.equal(b.core.state.disk, "Diskless");
});

Deno.test("a disk that fails the moment it is good again was seen all the same", () => {
  const pair = new Pair(SIZE, { onNoData: "suspend-io" });
  const { a, b } = pair;
  pair.up();
  b.core.roles.primary(true, () => {});
  pair.run();
  a.core.disk.detach(false, () => {});
  pair.run(2);
  const answers = writeBlock(b, 5);
  pair.run(100);
  assert.deepEqual(answers, [true]);
  loseDisk(pair, b);
  assert.equal(attach(b), 1);
  pair.run(2); // it is UpToDate, and what waits reads it
  assert.equal(b.core.state.disk, "Diskless");
  assert.equal(attach(a), 1); // this one lacks the 5
  pair.run(2);
  assert.notEqual(b.core.state.peerDisk, "UpToDate");
});

Deno.test("nothing is reported to the peer before what was answered is stable", () => {
  const pair = synced();
  const { a } = pair;
  writeBlock(a, 7);
  pair.run(1);
  pair.isCut = true;
  pair.run(1);
  assert.equal(a.core.flusher.isStable, false);
  const reports = () => a.sent.filter(({ kind }) => kind === "report").length;
  a.core.link.linkUp({ resolveConflicts: true });
  assert.equal(reports(), 0);
  a.work();
  assert.equal(reports(), 1);
});

Deno.test("a Primary's disk that failed is behind the copy that served on", () => {
  for (const isFirst of [true, false]) {
    const pair = synced();
    const { a, b } = pair;
    a.failsWrites = true;
    const answers = writeBlock(a, 5);
    pair.run(1);
    a.failsWrites = false;
    assert.deepEqual(answers, [true]);
    // What A's crash would have left, and no name for what only B has.
    a.bitmap[0] = 1;
    b.persistent = { ...b.persistent, generations: a.persistent.generations };
    pair.cut();
    pair.restart(b);
    b.core.disk.failed("flush"); // B is no longer sure either
    a.core.roles.secondary(() => {});
    for (const node of isFirst ? [a, b] : [b, a]) assert.equal(attach(node), 1);
    assert.equal(a.core.state.disk, "Inconsistent");
    pair.mend();
    pair.run();
    assert.deepEqual([a.data[0], b.data[0]], [5, 5]);
  }
});

Deno.test("a Primary's disk that failed alone is not behind an older copy", () => {
  const pair = synced();
  const { a, b } = pair;
  pair.cut();
  writeBlock(a, 5);
  pair.run(1);
  a.core.saveBitmap();
  a.failsWrites = true;
  writeBlock(a, 6);
  pair.run(1);
  a.failsWrites = false;
  a.core.roles.secondary(() => {});
  pair.mend();
  assert.equal(a.core.state.peerDisk, "UpToDate");
  assert.equal(attach(a), 1);
  pair.run();
  assert.deepEqual([a.data[0], b.data[0]], [5, 5]);
});
