import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { MIGRATIONS } from "./mod.ts";

/** SHA-256 of every step that was released, in order. */
const RELEASED = [
  "1feb3c24f11ad76e3dcda6457ca23b234aaaa30a778a1555d900954303939dc0",
  "1599ebbb818995a38233a6bc0ed583f326b8a17eec90ca72d57a27af684bc3c3",
];

Deno.test("MIGRATIONS: a released step never changes", () => {
  const hashes = MIGRATIONS.map((sql) =>
    createHash("sha256").update(sql).digest("hex")
  );
  // Databases that took the step before would miss the change: add a step, and
  // its hash here.
  assert.deepEqual(hashes, RELEASED);
});
