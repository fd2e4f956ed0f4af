/**
 * Giving the role up while I/O is frozen, and the disk while the peer is asked
 * to part.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Pair } from "./volume_fixture.ts";
import type { CommandResult } from "./volume_types.ts";

const SIZE = 1024 * 1024;
const FENCED = {
  fencing: "resource-and-stonith",
  handlers: new Set(["fence-peer"]),
} as const;

/** A Primary that waits for its fence handler. */
function frozen(): Pair {
  const pair = new Pair(SIZE, FENCED);
  pair.up();
  pair.a.core.roles.primary(true, () => {});
  pair.run();
  pair.cut();
  assert.equal(pair.a.core.state.suspendedFencing, true);
  return pair;
}

Deno.test("a frozen Primary that nobody waits for is demoted at once", () => {
  const pair = frozen();
  const results: CommandResult[] = [];
  pair.a.core.roles.secondary((result) => results.push(result));
  pair.run(2);
  assert.deepEqual(results, [{ code: 1 }]);
  assert.equal(pair.a.core.state.role, "Secondary");
});

Deno.test("a frozen Primary that owes an answer says how to go on", () => {
  const pair = frozen();
  const { a } = pair;
  const answers: boolean[] = [];
  a.core.writes.write(0, new Uint8Array(512), (ok) => answers.push(ok));
  const results: CommandResult[] = [];
  a.core.roles.secondary((result) => results.push(result));
  assert.equal(results[0]?.code, -12);
  assert.match(results[0]?.why ?? "", /drbdadm resume-io/);
  a.core.roles.resumeIo(() => {});
  pair.run(2);
  assert.deepEqual(answers, [true]);
  a.core.roles.secondary((result) => results.push(result));
  pair.run(2);
  assert.equal(results[1]?.code, 1);
});

/** B has asked to part with its disk outdated, since A is Primary. */
function parting(): Pair {
  const pair = new Pair(SIZE, { fencing: "resource-only" });
  const { a, b } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run();
  b.core.roles.disconnect(false, () => {});
  while (
    b.sent.every((frame) =>
      frame.kind !== "stateRequest" || frame.wish.disk !== "Outdated"
    )
  ) pair.frames(1);
  return pair;
}

Deno.test("who leaves by force while it is about to be outdated is", () => {
  const { b } = parting();
  b.core.roles.disconnect(true, () => {});
  assert.equal(b.core.state.connection, "StandAlone");
  assert.equal(b.core.state.disk, "Outdated", "the peer may have agreed");
});

Deno.test("a disk that is lost while the nodes part stays lost", () => {
  const pair = parting();
  const { b } = pair;
  b.core.diskFailed("flush");
  pair.run(2);
  assert.equal(b.core.state.connection, "StandAlone");
  assert.equal(b.core.state.disk, "Diskless");
});

Deno.test("a Primary that freezes while it is demoted is demoted all the same", () => {
  const pair = new Pair(SIZE, FENCED);
  const { a, b } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run();
  a.core.writes.write(0, new Uint8Array(4096).fill(1), () => {});
  pair.run(2);
  const results: CommandResult[] = [];
  a.core.roles.secondary((result) => results.push(result));
  pair.cut(); // the peer's flush is not answered, nor the fence handler
  assert.deepEqual(results, [{ code: 1 }]);
  assert.equal(a.core.state.role, "Secondary");
  a.endHelper("fence-peer", 5);
  pair.mend();
  assert.equal(a.core.state.connection, "Connected");
  a.core.roles.primary(false, () => {});
  const answers: boolean[] = [];
  a.core.writes.write(0, new Uint8Array(4096).fill(2), () => {
    a.core.writes.flush((ok) => answers.push(ok));
  });
  pair.run(5);
  assert.deepEqual(answers, [true], "the flush that was given up has ended");
  assert.deepEqual(a.data, b.data);
});

Deno.test("a register that does not answer is waited for a while only", () => {
  const pair = new Pair(SIZE, { fencedByRegister: true });
  const { a } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  for (let asked = 0; asked < 2; asked++) {
    pair.run(5);
    a.answer("done", 1); // promote, grow
  }
  pair.run(2);
  assert.equal(a.core.state.peerDisk, "UpToDate");
  pair.isCut = true;
  pair.run(1);
  const results: CommandResult[] = [];
  a.core.roles.secondary((result) => results.push(result));
  const answers: boolean[] = [];
  a.core.writes.write(0, new Uint8Array(4096), (ok) => answers.push(ok));
  pair.run(100);
  assert.equal(results.length, 0);
  pair.run(250);
  assert.equal(results[0]?.code, -10);
  assert.match(results[0]?.why ?? "", /register, which does not answer/);
  assert.equal(a.core.state.role, "Primary");
  a.core.roles.secondary((result) => results.push(result));
  assert.equal(results[1]?.code, -12);
  assert.match(results[1]?.why ?? "", /register/);
  a.answer("done", 2); // shrink
  pair.run(2);
  assert.deepEqual(answers, [true]);
});

Deno.test("what comes while a Primary freezes and is demoted is failed, not kept for a later role", () => {
  const pair = new Pair(SIZE, FENCED);
  const { a } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run();
  a.core.writes.write(0, new Uint8Array(4096).fill(1), () => {});
  pair.run(2);
  a.core.roles.secondary(() => {});
  const answers: boolean[] = [];
  a.core.writes.write(0, new Uint8Array(4096).fill(2), (ok) => {
    answers.push(ok);
  });
  a.core.writes.flush((ok) => answers.push(ok));
  pair.cut();
  assert.equal(a.core.state.role, "Secondary");
  assert.deepEqual(answers, [false, false]);
  a.endHelper("fence-peer", 5);
  pair.mend();
  a.core.roles.primary(false, () => {});
  pair.run(5);
  assert.equal(a.data[0], 1);
});
