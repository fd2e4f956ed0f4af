/**
 * A handler that ends late says nothing about the connection of now.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Pair, primaryPair, type TestNode } from "./volume_fixture.ts";

const STONITH = {
  fencing: "resource-and-stonith",
  handlers: new Set(["fence-peer"]),
} as const;

function fences({ helpers }: TestNode): number {
  return helpers.filter(({ name }) => name === "fence-peer").length;
}

for (const exitCode of [3, 4, 5, 7]) {
  Deno.test(`exit code ${exitCode} of fence-peer for an earlier loss is ignored`, () => {
    const pair = primaryPair(STONITH);
    const { a } = pair;
    pair.cut();
    assert.equal(fences(a), 1);
    pair.mend(); // before the handler has ended
    assert.equal(a.core.state.connection, "Connected");
    pair.cut();
    assert.equal(fences(a), 2, "the new loss is a call of its own");

    a.endHelper("fence-peer", exitCode); // the first one
    assert.ok(a.core.state.suspendedFencing);
    assert.equal(a.core.state.peerDisk, "DUnknown");
    assert.ok(a.lines.some((line) => line.includes("Ignoring fence-peer")));

    a.endHelper("fence-peer", exitCode);
    assert.ok(!a.core.state.suspendedFencing);
    assert.notEqual(a.core.state.peerDisk, "DUnknown");
  });
}

Deno.test("who waited for a handler of before asks again", () => {
  const pair = new Pair(1024 * 1024, STONITH);
  const { a, b } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run();
  pair.cut();
  const codes: number[] = [];
  b.core.roles.primary(false, ({ code }) => codes.push(code));
  assert.equal(fences(b), 1);
  pair.mend();
  pair.cut();
  b.endHelper("fence-peer", 7);
  assert.deepEqual(codes, [], "that one was switched off before it came back");
  assert.equal(fences(b), 1);
  b.endHelper("fence-peer", 7);
  assert.deepEqual(codes, [1]);
});

Deno.test("a handler before a resync allows that resync only", () => {
  const handlers = new Set(["before-resync-target"]);
  const pair = primaryPair();
  const { a, b } = pair;
  b.core.config = { ...b.core.config, handlers };
  pair.cut();
  a.core.writes.write(0, new Uint8Array(4096).fill(3), () => {});
  pair.run();
  pair.mend();
  assert.equal(b.core.state.connection, "WFSyncUUID");
  pair.cut();
  pair.mend();
  assert.equal(b.helpers.length, 2);
  b.endHelper("before-resync-target", 0);
  assert.equal(b.core.state.connection, "WFSyncUUID");
  b.endHelper("before-resync-target", 0);
  pair.run();
  assert.equal(b.core.state.disk, "UpToDate");
  assert.deepEqual(a.data, b.data);
});

Deno.test("a handler of the source that refuses late breaks no new connection", () => {
  const handlers = new Set(["before-resync-source"]);
  const pair = primaryPair();
  const { a, b } = pair;
  a.core.config = { ...a.core.config, handlers };
  pair.cut();
  a.core.writes.write(0, new Uint8Array(4096).fill(3), () => {});
  pair.run();
  pair.mend();
  pair.cut();
  pair.mend();
  assert.equal(a.helpers.length, 2);
  a.endHelper("before-resync-source", 1);
  assert.equal(a.core.state.connection, "WFBitMapS");
  a.endHelper("before-resync-source", 0);
  pair.run();
  assert.equal(b.core.state.disk, "UpToDate");
});
