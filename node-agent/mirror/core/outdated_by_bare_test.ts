/**
 * With fencing a node that lost its disk still knows that the other copy is
 * behind: that one is not good because nobody has a better one at hand.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Pair, type TestNode } from "./volume_fixture.ts";

/** A has written without B, which was switched off. */
function ahead(): Pair {
  const pair = new Pair(1024 * 1024, {
    fencing: "resource-and-stonith",
    handlers: new Set(["fence-peer"]),
  });
  const { a } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run();
  pair.cut();
  a.endHelper("fence-peer", 7);
  assert.equal(a.core.state.peerDisk, "Outdated");
  a.core.writes.write(0, new Uint8Array(4096).fill(1), () => {});
  pair.run();
  a.core.saveBitmap(); // this disk has no activity log to find it again
  return pair;
}

/** And has lost its disk since. */
function aheadAndBare(): Pair {
  const pair = ahead();
  const { a, b } = pair;
  a.core.disk.failed("read");
  a.core.roles.secondary(() => {});
  pair.restart(b);
  pair.mend();
  pair.run();
  return pair;
}

function words({ core }: TestNode): string {
  const { connection, disk, peerDisk } = core.state;
  return `${connection} ${disk}/${peerDisk}`;
}

Deno.test("a copy that is behind is not promoted beside a node that knows", () => {
  const { a, b } = aheadAndBare();
  assert.equal(words(b), "Connected Negotiating/Diskless");
  assert.equal(words(a), "Connected Diskless/Negotiating");
  const codes: number[] = [];
  b.core.roles.primary(false, ({ code }) => codes.push(code));
  a.core.roles.primary(false, ({ code }) => codes.push(code));
  assert.deepEqual(codes, [-2, -2]);
});

Deno.test("it is good again once the better disk is back", () => {
  const pair = aheadAndBare();
  const { a, b } = pair;
  a.core.disk.attach(a.disk(), () => {});
  pair.run();
  a.core.roles.primary(true, () => {});
  pair.run();
  assert.equal(words(b), "Connected UpToDate/UpToDate");
  assert.equal(b.data[0], 1);
});

Deno.test("a copy that was about to become a target is not promoted either", () => {
  const pair = ahead();
  const { a, b } = pair;
  pair.restart(b);
  pair.connectNow();
  a.core.settle();
  for (const frame of b.sent.splice(0)) a.core.frame(frame);
  assert.equal(words(a), "WFBitMapS UpToDate/Consistent");
  a.core.disk.failed("read");
  pair.cut();
  a.core.roles.secondary(() => {});
  pair.restart(b);
  pair.mend();
  pair.run();
  assert.equal(words(b), "Connected Negotiating/Diskless");
});

Deno.test("a disk that failed, and has what the peer lacks, is not outdated for it", () => {
  const pair = ahead();
  const { a } = pair;
  a.core.flusher.written();
  a.core.disk.failed("bitmap");
  a.core.roles.secondary(() => {});
  a.core.disk.attach(a.disk(), () => {});
  assert.equal(a.core.state.disk, "Outdated");
  const codes: number[] = [];
  a.core.roles.outdate(({ code }) => codes.push(code));
  assert.deepEqual(codes, [-2], "a handler makes 6 of it");
});
