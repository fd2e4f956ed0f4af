/**
 * `on-io-error pass_on`: a disk with an error stays, and nobody takes it for
 * good because of what goes on around it.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Pair, writeBlock } from "./volume_fixture.ts";

const SIZE = 1024 * 1024;

function synced(): Pair {
  const pair = new Pair(SIZE, { onIoError: "pass_on" });
  pair.up();
  pair.a.core.roles.primary(true, () => {});
  pair.run();
  assert.equal(pair.a.core.state.peerDisk, "UpToDate");
  return pair;
}

/** The next write of A fails, on its own disk only. */
function failWrite(
  { a }: Pair,
  value: number,
  { offset = 0, isLogged = false } = {},
): void {
  a.failsWrites = true;
  writeBlock(a, value, offset);
  a.core.settle();
  if (!isLogged) a.work(); // the activity log
  a.failsWrites = false;
}

function mustBeEqual({ a, b }: Pair): void {
  const at = a.data.findIndex((byte, index) => byte !== b.data[index]);
  assert.equal(at, -1, `byte ${at} differs`);
}

/** Both know that A's disk lacks something, and a resync makes up for it. */
function mustBeKnownAndRepaired(pair: Pair): void {
  const { a, b } = pair;
  assert.equal(a.core.state.disk, "Inconsistent");
  assert.equal(b.core.state.peerDisk, "Inconsistent");
  a.core.disk.detach(true, () => {});
  pair.run(2);
  a.core.disk.attach(a.disk(), () => {});
  pair.run(20);
  assert.equal(a.core.state.disk, "UpToDate");
  mustBeEqual(pair);
}

Deno.test("a verify does not begin on a disk that failed while it was asked for", () => {
  const pair = synced();
  let code = 0;
  pair.a.core.verify.start({}, (result) => code = result.code);
  failWrite(pair, 1);
  pair.run(5);
  assert.equal(code, -2);
  mustBeKnownAndRepaired(pair);
});

for (const verifier of ["a", "b"] as const) {
  Deno.test(`a disk that fails during a verify of ${verifier} is not good`, () => {
    const pair = synced();
    pair[verifier].core.verify.start({}, () => {});
    pair.frames(3);
    assert.equal(pair[verifier].core.state.connection, "VerifyS");
    failWrite(pair, 1);
    pair.run(5);
    assert.equal(pair.b.core.state.connection, "Connected");
    mustBeKnownAndRepaired(pair);
  });
}

/** B has missed a write and is about to be copied to. */
function behind(): Pair {
  const pair = synced();
  pair.cut();
  writeBlock(pair.a, 1);
  pair.run(2);
  pair.isCut = false;
  return pair;
}

/** Until A is in this state, frame by frame. */
function until(pair: Pair, is: () => boolean): void {
  pair.a.core.tick(pair.nowMs += 100);
  pair.b.core.tick(pair.nowMs);
  for (let left = 200; left > 0 && !is(); left--) pair.frames(1);
  assert.ok(is(), "it never happened");
}

Deno.test("what fails at the source of a resync is copied all the same", () => {
  const pair = behind();
  const { a, b } = pair;
  pair.connectNow();
  until(pair, () => a.core.state.connection === "SyncSource");
  failWrite(pair, 2, { offset: 8192 });
  pair.run(20);
  assert.equal(b.core.state.disk, "UpToDate");
  mustBeEqual(pair);
});

Deno.test("what fails at a target behind the copy is not taken for copied", () => {
  const pair = synced();
  const { a, b } = pair;
  a.core.disk.detach(false, () => {});
  pair.run(2);
  writeBlock(a, 1);
  pair.run(2);
  a.core.disk.attach(a.disk(), () => {});
  // The copy is written, and not yet stable.
  until(pair, () => a.core.state.connection === "SyncTarget");
  writeBlock(a, 3, 8192);
  a.core.settle();
  a.work(); // the activity log
  for (let left = 50; a.data[0] !== 1; left--) {
    assert.ok(left > 0, "no copy came");
    for (const frame of a.sent.splice(0)) b.core.frame(frame);
    b.core.settle();
    b.work();
    for (const frame of b.sent.splice(0)) a.core.frame(frame);
    a.core.settle();
  }
  failWrite(pair, 2, { isLogged: true });
  pair.run(20);
  assert.equal(a.core.state.disk, "UpToDate");
  assert.equal(b.data[0], 2);
  mustBeEqual(pair);
});

Deno.test("beside a disk with an error a copy that lost writes is not good", () => {
  const pair = synced();
  const { a, b } = pair;
  failWrite(pair, 1, { offset: 8192 });
  pair.run(1);
  writeBlock(a, 2);
  pair.run(1);
  b.failsFlushes = true;
  a.core.writes.flush(() => {});
  pair.run(1);
  b.failsFlushes = false;
  b.data.fill(0, 0, 4096); // what was never stable
  b.core.disk.attach(b.disk(), () => {});
  pair.run(5);
  assert.equal(a.data[0], 2, "the application's data were overwritten");
  assert.equal(a.core.disk.stayedUp, false);
});

Deno.test("the only good copy stays good, and the write fails", () => {
  const pair = synced();
  const { a } = pair;
  pair.cut();
  a.failsWrites = true;
  const answers = writeBlock(a, 1);
  pair.run(2);
  a.failsWrites = false;
  assert.deepEqual([...answers, ...writeBlock(a, 2)], [false, true]);
  pair.run(2);
  assert.equal(a.core.state.disk, "UpToDate");
  const into = new Uint8Array(4096);
  a.core.reads.read(0, into, () => {});
  assert.equal(into[0], 2);
});
