/**
 * A Primary's disk that failed and is back at once, before the peer has a new
 * name for what it alone has.
 *
 * @module
 */

import assert from "node:assert/strict";
import {
  fencedPair,
  type Pair,
  type TestNode,
  writeBlock,
} from "./volume_fixture.ts";

function attach(node: TestNode): void {
  node.core.disk.attach(node.disk(), ({ code }) => assert.equal(code, 1));
}

/** A's disk has lost what B's has, and B has no name for that yet. */
function lostOnA(): Pair {
  const pair = fencedPair();
  const { a } = pair;
  const answers = writeBlock(a, 5);
  pair.run(1);
  assert.deepEqual(answers, [true]);
  a.core.disk.failed("flush");
  a.data.fill(0, 0, 4096); // that write was not stable
  a.bitmap[0] = 1; // what the activity log covered
  return pair;
}

/** B's copy is what both have in the end. */
function mustHaveIt({ a, b }: Pair): void {
  assert.deepEqual([a.core.state.disk, b.core.state.disk], [
    "UpToDate",
    "UpToDate",
  ]);
  assert.deepEqual([a.data[0], b.data[0]], [5, 5]);
}

Deno.test("a Primary's disk that is back at once is behind the copy that served on", () => {
  const pair = lostOnA();
  const { a, b } = pair;
  attach(a);
  a.answer("refused", 2); // it left the set, and lost the role by that
  b.failsFlushes = true;
  pair.run(1);
  b.failsFlushes = false;
  assert.equal(b.core.state.disk, "Diskless");
  attach(b);
  pair.run();
  mustHaveIt(pair);
});

Deno.test("so it is after both were restarted", () => {
  const pair = lostOnA();
  const { a, b } = pair;
  b.core.disk.failed("bitmap");
  for (const node of [a, b]) pair.restart(node);
  assert.equal(a.core.state.disk, "Inconsistent");
  assert.equal(b.core.state.disk, "Outdated");
  pair.run();
  mustHaveIt(pair);
});
