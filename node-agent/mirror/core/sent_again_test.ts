/**
 * Writes that nobody had when a Primary lost its last disk (`suspend-io`) go
 * out once more: in their order, and before anything newer. Reads wait, too.
 *
 * @module
 */

import assert from "node:assert/strict";
import { primaryPair } from "./volume_fixture.ts";

Deno.test("what nobody had is sent again in its order, newer writes behind it", () => {
  const pair = primaryPair({ protocol: "B", onNoData: "suspend-io" });
  const { a, b } = pair;
  a.core.disk.detach(false, () => {});
  pair.run();
  const answered: number[] = [];
  const write = (value: number, offset: number, lengthBytes: number) => {
    const data = new Uint8Array(lengthBytes).fill(value);
    a.core.writes.write(offset, data, (ok) => answered.push(ok ? value : -1));
    a.core.settle();
  };
  write(1, 1536, 2560);
  write(2, 0, 4096);
  write(3, 1536, 1536);
  // B has all of them; that it has is never heard.
  pair.frames(3);
  assert.equal(b.data[1536], 3);
  pair.cut();
  a.core.roles.suspendIo(() => {});
  pair.mend();
  a.core.disk.attach(a.disk(), () => {});
  pair.run();
  assert.equal(a.core.state.disk, "UpToDate");
  write(4, 2048, 512);
  assert.deepEqual(answered, [], "I/O is frozen");
  a.core.roles.resumeIo(() => {});
  pair.run();
  assert.deepEqual(answered, [1, 2, 3, 4]);
  for (const { data } of [a, b]) {
    assert.deepEqual([0, 1536, 2048, 3072].map((at) => data[at]), [2, 3, 4, 2]);
  }
});

Deno.test("the end of a freeze by command is not the end of another one", () => {
  const pair = primaryPair({ onNoData: "suspend-io" });
  const { a, b } = pair;
  a.core.disk.detach(false, () => {});
  pair.run();
  a.core.roles.suspendIo(() => {});
  pair.cut();
  let answered = 0;
  a.core.writes.write(0, new Uint8Array(4096).fill(7), () => answered++);
  a.core.roles.thaw(() => {});
  pair.run();
  const { suspendedByUser, suspendedNoData } = a.core.state;
  assert.deepEqual([suspendedByUser, suspendedNoData], [false, true]);
  assert.equal(answered, 0);
  pair.mend();
  pair.run();
  assert.equal(answered, 1);
  assert.equal(b.data[0], 7);
});

Deno.test("a write on its way when the last good copy goes is not failed by its return", () => {
  const pair = primaryPair({ onNoData: "suspend-io" });
  const { a, b } = pair;
  a.core.disk.detach(false, () => {});
  pair.run();
  const answered: boolean[] = [];
  const data = new Uint8Array(4096).fill(7);
  a.core.writes.write(0, data, (ok) => answered.push(ok));
  pair.cut();
  assert.equal(a.core.state.suspendedNoData, true);
  assert.deepEqual(answered, []);
  pair.mend();
  pair.run();
  assert.deepEqual(answered, [true]);
  assert.equal(b.data[0], 7);
});

Deno.test("a write that only a half-copied disk has is sent again when ours is back", () => {
  const pair = primaryPair({ onNoData: "suspend-io" });
  const { a, b } = pair;
  a.core.roles.pauseSync(() => {});
  b.core.roles.invalidate(() => {});
  a.core.writes.write(0, new Uint8Array(4096).fill(6), () => {});
  pair.run();
  assert.equal(a.core.state.peerDisk, "Inconsistent");
  const answered: boolean[] = [];
  const data = new Uint8Array(4096).fill(7);
  a.core.writes.write(0, data, (ok) => answered.push(ok));
  a.core.settle();
  a.core.disk.detach(true, () => {});
  a.data.fill(0); // it had not reached the disk
  pair.run();
  assert.equal(a.core.state.suspendedNoData, true);
  a.core.disk.attach(a.disk(), () => {});
  pair.run();
  assert.deepEqual(answered, [true]);
  a.core.roles.resumeSync(() => {});
  pair.run();
  assert.deepEqual([a.data[0], b.data[0]], [7, 7]);
});

Deno.test("a write that the peer never made is made here once our disk is good alone", () => {
  const pair = primaryPair({ protocol: "B", onNoData: "suspend-io" });
  const { a, b } = pair;
  const write = (value: number, done: (ok: boolean) => void) => {
    a.core.writes.write(0, new Uint8Array(4096).fill(value), done);
    a.core.settle();
  };
  b.core.effects.flushData = () => {}; // does not end
  write(6, () => a.core.writes.flush(() => {}));
  pair.run(1);
  a.core.disk.detach(true, () => {});
  const answered: boolean[] = [];
  write(7, (ok) => answered.push(ok));
  pair.run(1);
  assert.equal(b.data[0], 6, "it waits behind the flush");
  a.core.disk.attach(a.disk(), () => {});
  a.core.roles.disconnect(false, () => {});
  pair.run(1);
  assert.equal(a.core.state.disk, "UpToDate");
  assert.deepEqual(answered, [true]);
  assert.equal(a.data[0], 7);
});

Deno.test("a write whose new generation cannot be saved waits until a person gives it up", () => {
  const pair = primaryPair({ onNoData: "suspend-io" });
  const { a } = pair;
  pair.cut();
  a.core.effects.saveState = () => false;
  const answered: boolean[] = [];
  const data = new Uint8Array(4096).fill(7);
  a.core.writes.write(0, data, (ok) => answered.push(ok));
  pair.run();
  assert.deepEqual(
    [a.core.state.disk, a.core.state.suspendedNoData],
    ["Diskless", true],
  );
  assert.deepEqual(answered, []);
  // No copy is known to be what the application has seen.
  pair.mend();
  assert.deepEqual(answered, []);
  a.core.roles.resumeIo(() => {});
  assert.deepEqual(answered, [false]);
});

Deno.test("a read that finds the last good disk broken waits for another one", () => {
  const pair = primaryPair({ onNoData: "suspend-io" });
  const { a, b } = pair;
  a.core.disk.detach(false, () => {});
  pair.run();
  b.data[0] = 7;
  b.failsReads = true;
  const answered: boolean[] = [];
  const into = new Uint8Array(4096);
  a.core.reads.read(0, into, (ok) => answered.push(ok));
  pair.run();
  assert.equal(a.core.state.suspendedNoData, true);
  assert.deepEqual(answered, []);
  b.failsReads = false;
  b.core.disk.attach(b.disk(), () => {});
  pair.run();
  assert.deepEqual(answered, [true]);
  assert.equal(into[0], 7);
});
