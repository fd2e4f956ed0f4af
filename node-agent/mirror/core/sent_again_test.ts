/**
 * Writes that nobody had when a Primary lost its last disk (`suspend-io`) go
 * out once more: in their order, and before anything newer.
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
    a.core.writes.write(offset, data, () => answered.push(value));
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
