import assert from "node:assert/strict";
import { pairKey } from "./pair_key.ts";

const SECRET = "s".repeat(43);

Deno.test("pairKey() is the same for both, and another for every pair", () => {
  assert.equal(pairKey(SECRET, 1, 2), pairKey(SECRET, 2, 1));
  const pairs = [[1, 2], [1, 3], [2, 3], [1, 23], [12, 3]] as const;
  const keys = pairs.map(([a, b]) => pairKey(SECRET, a, b));
  assert.equal(new Set(keys).size, pairs.length);
  assert.notEqual(pairKey("t".repeat(43), 1, 2), keys[0]);
  assert.match(keys[0] ?? "", /^[A-Za-z0-9_-]{43}$/);
});
