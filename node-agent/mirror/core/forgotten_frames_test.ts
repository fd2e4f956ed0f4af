/**
 * A peer whose disk is gone confirms nothing, and is not silent because of it.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Pair } from "./volume_fixture.ts";

/** `a` has lost the only copy, with writes of `b` on their way. */
function without(pair: Pair): void {
  const { a, b } = pair;
  pair.up();
  b.core.roles.primary(true, () => {});
  pair.run();
  b.core.disk.detach(false, () => {});
  pair.run(2);
  a.core.disk.detach(true, () => {});
  b.core.writes.write(0, new Uint8Array(4096), () => {});
  pair.run(2);
  assert.equal(b.core.state.peerDisk, "Diskless");
}

Deno.test("nothing is awaited of a disk that is gone", () => {
  const pair = new Pair(1024 * 1024);
  without(pair);
  assert.equal(pair.b.core.writes.unconfirmed, 0);
});
