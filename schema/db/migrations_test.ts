import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { MIGRATIONS } from "./mod.ts";

/** SHA-256 of every step that was released, in order. */
const RELEASED = [
  "1feb3c24f11ad76e3dcda6457ca23b234aaaa30a778a1555d900954303939dc0",
  "32850b90c51746797eec4d8f438f6f0530f744da656feaac414d3b83e9e2f82a",
  "6c4d227e84e7d7a2b6b0a1efc754db6e29b9ddf9b6385104f25775e5e57b6f79",
];

Deno.test("MIGRATIONS: a released step never changes", () => {
  const hashes = MIGRATIONS.map((sql) =>
    createHash("sha256").update(sql).digest("hex")
  );
  // Databases that took the step before would miss the change: add a step, and
  // its hash here.
  assert.deepEqual(hashes, RELEASED);
});
