/**
 * Both nodes are told to become Primary at once, and the register takes its
 * time: whose promotion is under way agrees to no other one.
 *
 * @module
 */

import { deepEqual } from "node:assert/strict";
import { fencedPair } from "./volume_fixture.ts";

Deno.test("a node that the register is about to make Primary agrees to no other one", () => {
  const pair = fencedPair({ protocol: "A" });
  const { a, b } = pair;
  const codes: number[] = [];
  const promote = (node: typeof a) =>
    node.core.roles.primary(false, ({ code }) => codes.push(code));
  a.core.roles.secondary(() => {});
  pair.run(1);
  a.answer("done", 1); // demote
  promote(b);
  pair.run(1);
  deepEqual(b.wishes.map(({ kind }) => kind), ["promote"]);
  // The word of an earlier try: b is Secondary, which is true.
  b.core.link.tellState();
  pair.run(1);
  promote(a);
  pair.run(1);
  deepEqual(a.wishes, []);
  deepEqual(codes, [-1]);
  b.answer("unknown", 1);
  promote(a);
  pair.run(1);
  deepEqual(a.wishes.map(({ kind }) => kind), ["promote"]);
});
