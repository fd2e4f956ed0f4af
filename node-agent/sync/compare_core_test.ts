import assert from "node:assert/strict";
import fc from "fast-check";
import { compareEntries, type FileEntry } from "@kedge/schema/change";
import { differingBuckets, planBucket } from "./compare_core.ts";

Deno.test("differingBuckets() lists buckets whose digests differ", () => {
  const ours = Uint32Array.of(1, 2, 3);
  assert.deepEqual(differingBuckets(ours, Uint32Array.of(1, 9, 8)), [1, 2]);
  assert.throws(() => differingBuckets(ours, Uint32Array.of(1)), RangeError);
});

Deno.test("after taking and giving both sides hold the newer of everything", () => {
  const entries = fc.uniqueArray(anyEntry(), { selector: (e) => e.id });
  fc.assert(fc.property(entries, entries, (ours, theirs) => {
    const plan = planBucket(ours, theirs);
    assert.deepEqual(
      merged(ours, plan.take),
      merged(theirs, plan.give),
    );
    // Nothing goes over the wire without need.
    const again = planBucket([...merged(ours, plan.take).values()], theirs);
    assert.deepEqual(again.take, []);
  }));
});

Deno.test("two contents of one state are told, and neither is overwritten", () => {
  const [ours] = fc.sample(anyEntry(), { numRuns: 1, seed: 1 });
  assert(ours !== undefined);
  const present = { ...ours, state: "present" } as const;
  const plan = planBucket([present], [{ ...present, crc32: 99 }]);
  assert.deepEqual(plan, { take: [], give: [], conflicts: [ours.id] });
});

function merged(
  base: readonly FileEntry[],
  more: readonly FileEntry[],
): Map<string, FileEntry> {
  const all = new Map(base.map((entry) => [entry.id, entry]));
  for (const entry of more) {
    const known = all.get(entry.id);
    if (known === undefined || compareEntries(known, entry) < 0) {
      all.set(entry.id, entry);
    }
  }
  return new Map([...all].toSorted(([a], [b]) => a < b ? -1 : 1));
}

function anyEntry(): fc.Arbitrary<FileEntry> {
  return fc.record({
    id: fc.constantFrom("a", "b", "c", "d"),
    state: fc.constantFrom("present", "tombstone"),
    epoch: fc.nat({ max: 2 }),
    version: fc.integer({ min: 1, max: 3 }),
  }, { noNullPrototype: true }).map((order) => ({
    ...order,
    origin: 1,
    sizeBytes: 0,
    crc32: 0,
    sha256: null,
    type: null,
    name: null,
    meta: {},
    createdS: 0,
    appender: false,
    master: null,
  }));
}
