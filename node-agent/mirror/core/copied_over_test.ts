/**
 * A Primary that was copied to while the register did not answer is as good as
 * its peer when that is over, whatever becomes of the question.
 *
 * @module
 */

import { deepEqual, equal } from "node:assert/strict";
import { fencedPair, writeBlock } from "./volume_fixture.ts";

Deno.test("without the register a Primary that was copied to is whole again", () => {
  const pair = fencedPair();
  const { a, b } = pair;
  a.core.roles.invalidate(() => {});
  pair.run();
  equal(a.core.state.connection, "Connected");
  equal(a.core.state.disk, "UpToDate");
  const leave = a.wishes.shift();
  deepEqual([leave?.kind, a.wishes[0]?.kind], ["leave", "grow"]);
  const both = writeBlock(a, 7);
  pair.run(5);
  deepEqual(both, [true]);
  equal(b.data[0], 7);
  // Lost now, the peer may lack what was answered: this disk does not.
  pair.cut();
  equal(a.core.state.role, "Primary");
  equal(a.core.state.disk, "UpToDate");
  // This node was taken out after all: that says nothing of this loss.
  if (leave === undefined) throw new Error("the register was not asked");
  a.core.fence.registerChanged(leave.id, { outcome: "done", epoch: 2 });
  const alone = writeBlock(a, 8);
  pair.run(5);
  deepEqual(alone, []);
});
