/**
 * A name that a source gives its data while a resync runs may be the target's,
 * too, when the connection ends: what only the source has needs another one.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Pair, writeBlock } from "./volume_fixture.ts";

Deno.test("two that write after a resync whose end was not heard are split", () => {
  const pair = new Pair(1024 * 1024);
  const { a, b } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run();
  pair.cut();
  writeBlock(a, 1);
  pair.run(2);
  b.core.roles.pauseSync(() => {});
  pair.mend();
  assert.equal(a.core.state.connection, "PausedSyncS");
  // As a flush does that covers what the target may have lost.
  a.core.generations.begin();
  pair.run(1);
  b.core.roles.resumeSync(() => {});
  for (let left = 50; left > 0 && b.core.state.disk !== "UpToDate"; left--) {
    pair.frames(1);
    b.core.tick(pair.nowMs += 100);
  }
  assert.equal(a.core.state.peerDisk, "Inconsistent", "it has not heard yet");
  pair.cut();
  writeBlock(a, 2);
  b.core.roles.primary(false, () => {});
  writeBlock(b, 3);
  pair.run(2);
  a.core.roles.secondary(() => {});
  pair.run(2);
  pair.mend();
  const says = [...a.lines, ...b.lines].join();
  assert.match(says, /Split-Brain detected but unresolved/);
  assert.deepEqual([a.data[0], b.data[0]], [2, 3]);
});
