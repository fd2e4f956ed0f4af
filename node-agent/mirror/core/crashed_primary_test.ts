/**
 * A Primary that crashed and is promoted before it sees its peer, which stayed
 * up and may have answered more.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Pair } from "./volume_fixture.ts";

const SIZE = 4 * 1024 * 1024;

Deno.test("a crashed Primary that was promoted alone is told the way back", () => {
  const pair = new Pair(SIZE);
  const { a, b } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run();
  assert.equal(b.core.state.disk, "UpToDate");
  a.core.writes.write(0, new Uint8Array(4096).fill(1), () => {});
  pair.run(2);
  pair.cut();
  pair.restart(a);
  a.core.roles.primary(false, () => {});
  pair.run(2);
  assert.equal(a.core.state.role, "Primary");
  pair.mend();
  assert.equal(a.core.state.connection, "StandAlone");
  const told = a.lines.find((line) => line.includes("but I am primary"));
  assert.match(told ?? "", /drbdadm secondary.*drbdadm connect/);
  a.core.roles.secondary(() => {});
  pair.run(2);
  pair.connect(a);
  pair.run();
  assert.equal(a.core.state.connection, "Connected");
  assert.equal(a.core.state.disk, "UpToDate");
  assert.equal(a.data[0], 1);
});
