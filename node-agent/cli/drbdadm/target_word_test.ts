import assert from "node:assert/strict";
import { parseTarget } from "./target_word.ts";

Deno.test("a number behind the slash names a volume", () => {
  assert.deepEqual(parseTarget("r0/12"), { resourceName: "r0", volume: 12 });
});

Deno.test("a path is taken as one name, to be shown as it was typed", () => {
  for (const word of ["../../x", "r0/", "/0", "r0/1a", "r0"]) {
    assert.deepEqual(parseTarget(word), {
      resourceName: word,
      volume: undefined,
    });
  }
});
