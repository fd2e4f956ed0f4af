/**
 * With fencing, a Primary whose disk failed before it could save that the peer
 * is fenced: only the peer's copy went on. Beside a peer that has lost that
 * copy, and what it knew, the old one is not good.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Pair, type TestNode, writeBlock } from "./volume_fixture.ts";

/** A is Primary and B in sync. */
function fencing(): Pair {
  const pair = new Pair(1024 * 1024, {
    fencing: "resource-and-stonith",
    handlers: new Set(["fence-peer"]),
  });
  pair.up();
  pair.a.core.roles.primary(true, () => {});
  pair.run();
  return pair;
}

/** Both nodes lose power and start anew; B's disk is not to be had. */
function restartBoth(pair: Pair): void {
  pair.restartBoth();
  assert.equal(pair.a.core.state.disk, "Consistent");
  pair.mend();
}

/** A's disk is as it was when the connection went; B alone has the 5. */
function onlyTheirs(): Pair {
  const pair = fencing();
  const { a, b } = pair;
  pair.cut();
  const left = a.persistent; // its metadata cannot be written from here on
  a.endHelper("fence-peer", 7);
  assert.equal(a.core.state.peerDisk, "Outdated");
  a.core.disk.failed("metadata");
  a.persistent = left;
  pair.restart(b);
  pair.mend();
  const answers = writeBlock(a, 5);
  pair.run();
  assert.deepEqual([...answers, b.data[0], a.data[0]], [true, 5, 0]);
  b.core.disk.failed("read");
  pair.run(1);
  restartBoth(pair);
  return pair;
}

function words({ core }: TestNode): string {
  const { connection, disk, peerDisk } = core.state;
  return `${connection} ${disk}/${peerDisk}`;
}

function promote({ core }: TestNode, force = false): number[] {
  const codes: number[] = [];
  core.roles.primary(force, ({ code }) => codes.push(code));
  return codes;
}

Deno.test("a copy that the fenced peer outlived is not promoted beside it", () => {
  const { a, b } = onlyTheirs();
  assert.equal(words(a), "Connected Negotiating/Diskless");
  assert.equal(words(b), "Connected Diskless/Negotiating");
  assert.deepEqual([promote(a), promote(b)], [[-2], [-2]]);
});

Deno.test("it gets what it lacks from the disk that comes back", () => {
  const pair = onlyTheirs();
  const { a, b } = pair;
  b.core.disk.attach(b.disk(), () => {});
  pair.run();
  assert.deepEqual(words(a), "Connected UpToDate/UpToDate");
  assert.equal(a.data[0], 5);
});

Deno.test("a person may go on without the other disk", () => {
  const pair = onlyTheirs();
  const { a } = pair;
  a.core.roles.disconnect(false, () => {});
  pair.run(1);
  assert.equal(a.core.state.disk, "Consistent");
  assert.deepEqual(promote(a, true), []);
  while (a.helpers.length > 0) a.endHelper("fence-peer", 5);
  assert.equal(a.core.state.role, "Primary");
});

Deno.test("a Primary that ended beside its peer is good without that one's disk", () => {
  const pair = fencing();
  restartBoth(pair);
  assert.equal(words(pair.a), "Connected UpToDate/Diskless");
});
