/**
 * A copy that a Primary elsewhere works on is not let go by accident.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Pair, type TestNode, writeBlock } from "./volume_fixture.ts";
import type { CommandResult } from "./volume_types.ts";

function detach(pair: Pair, node: TestNode, force = false): number {
  let code = 0;
  node.core.disk.detach(force, (result) => code = result.code);
  pair.run(2);
  return code;
}

Deno.test("the only copy of a Primary without a disk is not detached", () => {
  const pair = new Pair(1024 * 1024);
  const { a, b } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run();
  assert.equal(detach(pair, a), 1);
  assert.equal(detach(pair, b), -2);
  assert.equal(b.core.state.disk, "UpToDate");
  const answers: boolean[] = [];
  a.core.writes.write(0, new Uint8Array(4096), (ok) => answers.push(ok));
  pair.run(2);
  assert.deepEqual(answers, [true]);
  assert.equal(detach(pair, b, true), 1);
});

Deno.test("two that are detached at once leave a Primary its data", () => {
  for (const first of ["a", "b"] as const) {
    const pair = new Pair(1024 * 1024);
    const { a, b } = pair;
    pair.up();
    a.core.roles.primary(true, () => {});
    pair.run();
    const codes: Record<string, number> = {};
    const nodes = first === "a" ? { a, b } : { b, a };
    // Neither has heard of the other's wish.
    for (const [name, node] of Object.entries(nodes)) {
      node.core.disk.detach(false, ({ code }) => codes[name] = code);
    }
    pair.run(2);
    const disks = [a, b].map(({ core }) => core.state.disk);
    assert.deepEqual(disks.toSorted(), ["Diskless", "UpToDate"]);
    assert.deepEqual(Object.values(codes).toSorted(), [-2, 1]);
    const answers: boolean[] = [];
    a.core.writes.write(0, new Uint8Array(4096).fill(7), (ok) => {
      answers.push(ok);
    });
    pair.run(2);
    assert.deepEqual(answers, [true]);
  }
});

Deno.test("a peer that goes before it answers leaves our own rules to decide", () => {
  for (const role of ["Primary", "Secondary"] as const) {
    const pair = new Pair(1024 * 1024);
    const { a, b } = pair;
    pair.up();
    const primary = role === "Primary" ? a : b;
    primary.core.roles.primary(true, () => {});
    pair.run();
    let code = 0;
    a.core.disk.detach(false, (result) => code = result.code);
    pair.cut();
    assert.equal(code, role === "Primary" ? -2 : 1);
    assert.equal(
      a.core.state.disk,
      role === "Primary" ? "UpToDate" : "Diskless",
    );
  }
});

Deno.test("what came from the peer is on the disk before it is let go", () => {
  const pair = new Pair(1024 * 1024, { protocol: "B" });
  const { a, b } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run();
  const answers: boolean[] = [];
  const isDone = (ok: boolean) => answers.push(ok);
  const write = (value: number) =>
    a.core.writes.write(0, new Uint8Array(4096).fill(value), isDone);
  write(1);
  a.core.settle();
  a.work(); // the log first
  for (const value of [2, 3]) {
    a.core.writes.flush(isDone);
    a.work();
    write(value);
    for (const frame of a.sent.splice(0)) b.core.frame(frame);
    b.core.settle();
    for (const frame of b.sent.splice(0)) a.core.frame(frame);
  }
  assert.equal(b.data[0], 1, "the rest waits for the flush");
  b.core.disk.detach(false, () => {});
  pair.run(2);
  assert.deepEqual(answers, new Array(5).fill(true));
  assert.equal(b.core.state.disk, "Diskless");
  assert.equal(b.data[0], 3);
});

Deno.test("with fencing a disk that failed beside a good one is not used alone", () => {
  const flagAfterFailure = (fencing: "dont-care" | "resource-and-stonith") => {
    const pair = new Pair(1024 * 1024, { fencing });
    pair.up();
    pair.a.core.roles.primary(true, () => {});
    pair.run();
    assert.equal(pair.a.core.state.peerDisk, "UpToDate");
    pair.a.failsReads = true;
    pair.a.core.reads.read(0, new Uint8Array(4096), () => {});
    pair.run(2);
    assert.equal(pair.a.core.state.disk, "Diskless");
    return pair.a.persistent.flags.wasUpToDate;
  };
  assert.equal(flagAfterFailure("resource-and-stonith"), false);
  assert.equal(flagAfterFailure("dont-care"), true);
});

Deno.test("with fencing a disk that was let go beside a good one is not used alone", () => {
  for (const fencing of ["dont-care", "resource-and-stonith"] as const) {
    const pair = new Pair(1024 * 1024, { fencing });
    const { a, b } = pair;
    pair.up();
    b.core.roles.primary(true, () => {});
    pair.run();
    assert.equal(detach(pair, a), 1);
    const left = a.persistent; // b goes on alone, and has the only new names
    const answers = writeBlock(b, 5);
    pair.run(2);
    assert.deepEqual([...answers, a.data[0]], [true, 0]);
    // Both lose power, and b's disk is not to be had.
    pair.restartBoth(left);
    pair.mend();
    const isFencing = fencing !== "dont-care";
    const { disk } = a.core.state;
    assert.equal(disk, isFencing ? "Negotiating" : "UpToDate");
    const codes: number[] = [];
    a.core.roles.primary(false, ({ code }) => codes.push(code));
    pair.run(2);
    assert.deepEqual(codes, [isFencing ? -2 : 1]);
  }
});

Deno.test("a disk that was let go is as good as before beside its peer", () => {
  const pair = new Pair(1024 * 1024, { fencing: "resource-only" });
  const { a, b } = pair;
  pair.up();
  b.core.roles.primary(true, () => {});
  pair.run();
  assert.equal(detach(pair, a), 1);
  a.core.disk.attach(a.disk(), () => {});
  pair.run();
  assert.equal(a.core.state.disk, "UpToDate");
  assert.equal(a.persistent.flags.wasUpToDate, true);
});

Deno.test("newer data do not come back under a Primary that sees the peer's", () => {
  const pair = new Pair(1024 * 1024);
  const { a, b } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run();
  pair.cut();
  a.core.writes.write(0, new Uint8Array(4096).fill(1), () => {});
  pair.run(2);
  a.restart(); // its disk is not found
  a.core.tick(pair.nowMs);
  pair.connect(a);
  pair.mend();
  a.core.roles.primary(false, () => {});
  pair.run(2);
  assert.equal(a.core.state.role, "Primary");
  const results: CommandResult[] = [];
  a.core.disk.attach(a.disk(), (result) => results.push(result));
  assert.equal(results[0]?.code, 150);
  assert.match(results[0]?.why ?? "", /Secondary first/);
  a.core.roles.secondary(() => {});
  pair.run(2);
  // An activity log would have said which blocks; all of them will do.
  const disk = { ...a.disk(), bitmapLost: true };
  a.core.disk.attach(disk, (result) => results.push(result));
  pair.run();
  assert.equal(results[1]?.code, 1);
  assert.deepEqual([a.data[0], b.data[0]], [1, 1]);
});

Deno.test("nobody becomes Primary on a disk that is about to go", () => {
  for (let arrived = 0; arrived < 6; arrived++) {
    const pair = new Pair(1024 * 1024);
    const { a, b } = pair;
    pair.up();
    a.core.roles.primary(true, () => {});
    pair.run();
    a.core.roles.secondary(() => {});
    pair.run(2);
    assert.equal(detach(pair, b), 1);
    const codes: Record<string, number> = {};
    a.core.disk.detach(false, ({ code }) => codes.detach = code);
    pair.frames(arrived);
    b.core.roles.primary(false, ({ code }) => codes.primary = code);
    pair.run(20);
    assert.deepEqual(codes, { detach: 1, primary: -2 }, `${arrived}`);
    assert.equal(b.core.state.role, "Secondary");
    assert.equal(a.core.state.peerRole, "Secondary", "it is told so");
  }
});
