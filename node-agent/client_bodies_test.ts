import assert from "node:assert/strict";
import { ClientBodies } from "./client_bodies.ts";

const SIZE = 200_000;

/** Whether the next body lies in this memory. */
function isReused(bodies: ClientBodies, memory: Uint8Array): boolean {
  return bodies.take(SIZE).buffer === memory.buffer;
}

Deno.test("ClientBodies gives memory out again when the last one lets go", () => {
  const bodies = new ClientBodies();
  const memory = bodies.take(SIZE);
  assert.equal(memory.length, SIZE);
  const letGo = bodies.hold(memory);
  const alsoLetGo = bodies.hold(memory.subarray(7, 9));
  letGo();
  letGo();
  letGo();
  assert.equal(bodies.freeBytes, 0, "a second call does nothing");
  alsoLetGo();
  assert.equal(bodies.freeBytes, memory.buffer.byteLength);
  assert.equal(isReused(bodies, memory), true);
  assert.equal(isReused(bodies, memory), false, "nobody shares memory");
});

Deno.test("ClientBodies leaves what nobody held to the collector", () => {
  const bodies = new ClientBodies();
  const memory = bodies.take(SIZE);
  assert.equal(isReused(bodies, memory), false);
  const foreign = new Uint8Array(1 << 18);
  bodies.hold(foreign)();
  assert.equal(bodies.freeBytes, 0);
  assert.equal(foreign.length, 1 << 18, "it is not touched");
});

Deno.test("ClientBodies: who lets go late does not take memory from the next one", () => {
  const bodies = new ClientBodies();
  const memory = bodies.take(SIZE);
  const letGo = bodies.hold(memory);
  letGo();
  const again = bodies.take(SIZE);
  assert.equal(again.buffer, memory.buffer);
  const holding = bodies.hold(again);
  letGo();
  assert.equal(bodies.freeBytes, 0);
  holding();
  assert.equal(bodies.freeBytes, memory.buffer.byteLength);
});

Deno.test("ClientBodies tells who begins to hold too late", () => {
  const bodies = new ClientBodies();
  const memory = bodies.take(SIZE);
  bodies.hold(memory)();
  assert.throws(() => bodies.hold(memory), /too early/);
});

Deno.test("ClientBodies keeps so much, and nothing while nobody uploads", () => {
  const bodies = new ClientBodies();
  const all = Array.from({ length: 100 }, () => bodies.take(SIZE));
  for (const memory of all) bodies.hold(memory)();
  assert.equal(bodies.freeBytes, 16 << 20);
  bodies.sweep();
  assert.equal(bodies.freeBytes, 16 << 20, "used since the last sweep");
  bodies.sweep();
  assert.equal(bodies.freeBytes, 0);
});
