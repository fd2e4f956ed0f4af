/**
 * A node that was down and has not seen its peer: Consistent. Its promotion
 * asks the fence handler, and what that says of the peer's data says what ours
 * are worth (reference §2.7, §2.9).
 *
 * @module
 */

import assert from "node:assert/strict";
import { Pair, primaryPair, type TestNode } from "./volume_fixture.ts";
import type { CommandResult } from "./volume_types.ts";

/** The id that the core gives this handler. */

const FENCING = {
  fencing: "resource-only",
  handlers: new Set(["fence-peer"]),
} as const;

/** Two equal disks; nobody is Primary. */
function secondaries(): Pair {
  const pair = primaryPair(FENCING);
  pair.a.core.roles.secondary(() => {});
  pair.run(5);
  return pair;
}

/** `primary`, with this answer of the handler each time that it is asked. */
function promote({ core }: TestNode, exitCode: number): CommandResult[] {
  const results: CommandResult[] = [];
  let asked = 0;
  core.effects.runHelper = (_name, id) => {
    asked = id;
  };
  core.roles.primary(false, (result) => results.push(result));
  for (; asked > 0 && results.length === 0;) {
    const id = asked;
    asked = 0;
    core.helperDone(id, exitCode);
  }
  return results;
}

for (
  const { exitCode, peerDisk } of [
    { exitCode: 3, peerDisk: "Inconsistent" },
    { exitCode: 4, peerDisk: "Outdated" },
  ]
) {
  Deno.test(`exit code ${exitCode} of fence-peer makes Consistent data good`, () => {
    const pair = secondaries();
    const { b } = pair;
    pair.cut();
    pair.restart(b);
    assert.equal(b.core.state.disk, "Consistent");

    const results = promote(b, exitCode);
    assert.deepEqual(results, [{ code: 1 }]);
    assert.equal(b.core.state.role, "Primary");
    assert.equal(b.core.state.disk, "UpToDate");
    assert.equal(b.core.state.peerDisk, peerDisk);

    b.core.writes.write(0, new Uint8Array(4096).fill(7), () => {});
    pair.mend();
    pair.run();
    assert.equal(pair.a.core.state.disk, "UpToDate");
    assert.deepEqual(pair.a.data, b.data);
  });
}

for (const exitCode of [5, 6, 7, 1]) {
  Deno.test(`exit code ${exitCode} of fence-peer makes no data good`, () => {
    const pair = secondaries();
    pair.cut();
    pair.restart(pair.b);
    const results = promote(pair.b, exitCode);
    assert.equal(results.length, 1);
    assert.notEqual(results[0]?.code, 1);
    assert.equal(pair.b.core.state.role, "Secondary");
    assert.notEqual(pair.b.core.state.disk, "UpToDate");
  });
}

Deno.test("exit code 4 makes no data good that are known to be old", () => {
  const pair = secondaries();
  const { b } = pair;
  pair.cut();
  b.core.roles.outdate(() => {});
  pair.restart(b);
  assert.equal(b.core.state.disk, "Outdated");
  const [result] = promote(b, 4);
  assert.equal(result?.code, -2);
  assert.equal(b.core.state.disk, "Outdated");
});

Deno.test("a node that has what its peer lacks is not outdated, also after a restart", () => {
  const pair = primaryPair(FENCING);
  const { a, b } = pair;
  pair.cut();
  a.core.writes.write(0, new Uint8Array(4096).fill(9), () => {});
  pair.run(1);
  a.endHelper("fence-peer", 1); // b was not reached: a goes on all the same
  pair.restart(a);
  assert.equal(a.core.state.disk, "Consistent");

  const codes: number[] = [];
  a.core.roles.outdate(({ code }) => codes.push(code));
  assert.deepEqual(codes, [-2], "a handler makes 6 of it");
  assert.equal(a.core.state.disk, "Consistent");
  assert.equal(b.core.state.role, "Secondary");
});
