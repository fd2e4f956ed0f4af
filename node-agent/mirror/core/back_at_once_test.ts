/**
 * A Primary's disk that failed and is back at once, before the peer has a new
 * name for what it alone has.
 *
 * @module
 */

import assert from "node:assert/strict";
import { fencedPair, type TestNode, writeBlock } from "./volume_fixture.ts";

function attach(node: TestNode): void {
  node.core.disk.attach(node.disk(), ({ code }) => assert.equal(code, 1));
}

Deno.test("a Primary's disk that is back at once is behind the copy that served on", () => {
  const pair = fencedPair();
  const { a, b } = pair;
  const answers = writeBlock(a, 5);
  pair.run(1);
  assert.deepEqual(answers, [true]);
  a.core.disk.failed("flush");
  a.data.fill(0, 0, 4096); // that write was not stable
  a.bitmap[0] = 1; // what the activity log covered
  attach(a);
  a.answer("refused", 2); // it left the set, and lost the role by that
  b.failsFlushes = true;
  pair.run(1);
  b.failsFlushes = false;
  assert.equal(b.core.state.disk, "Diskless");
  attach(b);
  pair.run();
  assert.deepEqual([a.core.state.disk, b.core.state.disk], [
    "UpToDate",
    "UpToDate",
  ]);
  assert.deepEqual([a.data[0], b.data[0]], [5, 5]);
});
