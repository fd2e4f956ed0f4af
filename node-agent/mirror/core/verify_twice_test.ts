/** A verify that runs is not begun again. */

import assert from "node:assert/strict";
import { Pair } from "./volume_fixture.ts";

Deno.test("a second verify is refused, the first one goes on", () => {
  const pair = new Pair(1024 * 1024);
  pair.up();
  pair.a.core.roles.primary(true, () => {});
  pair.run();
  const codes: number[] = [];
  const verify = () =>
    pair.a.core.verify.start({}, ({ code }) => codes.push(code));
  verify();
  pair.frames(2); // asked, and agreed
  assert.equal(pair.a.core.state.connection, "VerifyS");
  verify();
  pair.run();
  assert.deepEqual(codes, [1, -8]);
  assert.equal(pair.a.core.state.connection, "Connected");
  assert.ok(!pair.a.lines.some((line) => line.startsWith("error")));
});
