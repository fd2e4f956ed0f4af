/**
 * With fencing a disk is not used alone when its node has seen that the peer
 * went on without it.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Pair } from "./volume_fixture.ts";

/** What B's disk is worth alone after it was away while A wrote. */
function worthAlone(fencing: "dont-care" | "resource-and-stonith"): string {
  const pair = new Pair(1024 * 1024, { fencing });
  const { a, b } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run();
  a.core.roles.secondary(() => {});
  pair.run(2);
  pair.cut();
  b.core.disk.detach(true, () => {}); // as when it fails
  pair.mend();
  a.core.roles.primary(false, () => {});
  pair.run(2);
  a.core.writes.write(0, new Uint8Array(4096).fill(1), () => {});
  pair.run(2);
  pair.cut();
  b.core.disk.attach(b.disk(), () => {});
  return b.core.state.disk;
}

Deno.test("with fencing an older disk than what was seen is Outdated", () => {
  assert.equal(worthAlone("resource-and-stonith"), "Outdated");
});

Deno.test("without fencing it may be used alone", () => {
  assert.equal(worthAlone("dont-care"), "UpToDate");
});
