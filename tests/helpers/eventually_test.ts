/** What `eventually` promises to the tests that use it. */

import assert from "node:assert/strict";
import { eventually, within } from "./eventually.ts";

Deno.test("eventually returns what the condition gives in the end", async () => {
  let looks = 0;
  const value = await eventually(() => ++looks >= 3 ? looks : undefined, {
    what: "three looks",
    pauseMs: 1,
  });
  assert.equal(value, 3);
});

Deno.test("eventually fails with the last reason", async () => {
  const never = eventually(() => {
    throw new Error("not there");
  }, { what: "a miracle", deadlineMs: 10, pauseMs: 1 });
  await assert.rejects(never, /waited 10 ms for a miracle: not there/);
});

Deno.test("within fails when a promise takes too long", async () => {
  const never = new Promise(() => {});
  await assert.rejects(
    within(never, { what: "Godot", deadlineMs: 5 }),
    /Godot/,
  );
});
