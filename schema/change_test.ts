import assert from "node:assert/strict";
import * as fc from "fast-check";
import { compareEntries, type EntryOrder } from "./change.ts";

const anyOrder: fc.Arbitrary<EntryOrder> = fc.record({
  state: fc.constantFrom("present" as const, "tombstone" as const),
  epoch: fc.nat({ max: 3 }),
  version: fc.integer({ min: 1, max: 3 }),
});

Deno.test("compareEntries() is a total order in which tombstones win", () => {
  fc.assert(fc.property(anyOrder, anyOrder, anyOrder, (a, b, c) => {
    assert.equal(
      Math.sign(compareEntries(a, b)) + Math.sign(compareEntries(b, a)),
      0,
    );
    if (compareEntries(a, b) >= 0 && compareEntries(b, c) >= 0) {
      assert(compareEntries(a, c) >= 0);
    }
    if (a.state === "tombstone" && b.state === "present") {
      assert(compareEntries(a, b) > 0);
    }
  }));
});
