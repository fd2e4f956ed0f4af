import assert from "node:assert/strict";
import fc from "fast-check";
import {
  BUCKET_COUNT,
  bucketOf,
  type DigestedRow,
  digestOf,
  DigestTable,
  foldersOf,
} from "./digest_table.ts";

const hex = fc.integer({ min: 0, max: 255 })
  .map((n) => n.toString(16).toUpperCase().padStart(2, "0"));
const row: fc.Arbitrary<DigestedRow> = fc.record({
  id: fc.tuple(fc.constantFrom("g", "group1"), hex, hex, hex, fc.nat(40))
    .map(([g, m, h, l, n]) => `${g}/M${m}/${h}/${l}/file${n}`),
  tombstone: fc.nat(1),
  epoch: fc.nat(5),
  version: fc.integer({ min: 1, max: 5 }),
});
const rows = fc.uniqueArray(row, { selector: ({ id }) => id, maxLength: 40 });

function complete(all: readonly DigestedRow[]): DigestTable {
  const table = new DigestTable();
  table.scan(all.toSorted((a, b) => a.id < b.id ? -1 : 1));
  table.scan([]);
  return table;
}

Deno.test("digests kept with changes equal those of a fresh scan", () => {
  fc.assert(fc.property(rows, rows, fc.nat(40), (before, after, cut) => {
    const state = new Map(before.map((one) => [one.id, one]));
    const table = new DigestTable();
    const sorted = before.toSorted((a, b) => a.id < b.id ? -1 : 1);
    // Changes come while the scan is somewhere in the middle.
    const scanned = sorted.slice(0, cut);
    if (scanned.length > 0) table.scan(scanned);
    for (const one of after) {
      table.change(state.get(one.id), one);
      state.set(one.id, one);
    }
    const rest = [...state.values()]
      .filter(({ id }) => id > table.cursor)
      .toSorted((a, b) => a.id < b.id ? -1 : 1);
    if (rest.length > 0) table.scan(rest);
    table.scan([]);
    const fresh = complete([...state.values()]);
    assert.deepEqual(table.sums, fresh.sums);
    assert.equal(table.present, fresh.present);
    const restored = new DigestTable();
    restored.restore(table.save() ?? "");
    assert.deepEqual(restored.sums, fresh.sums);
    assert(restored.isComplete);
  }));
});

Deno.test("two files that change in the same way do not cancel out", () => {
  const at = (id: string, version: number): DigestedRow => ({
    id: `group1/M00/00/00/${id}`,
    tombstone: 0,
    epoch: 1,
    version,
  });
  const old = complete([at("a", 1), at("b", 1)]);
  const changed = complete([at("a", 2), at("b", 2)]);
  assert.notDeepEqual(old.sums, changed.sums);
  const seen = new Set<number>();
  for (let version = 1; version < 1000; version++) {
    for (const tombstone of [0, 1]) {
      seen.add(digestOf({ ...at("a", version), tombstone }));
    }
  }
  assert(seen.size >= 1997);
});

Deno.test("every folder belongs to one bucket", () => {
  const seen = new Set<string>();
  for (let bucket = 0; bucket < BUCKET_COUNT; bucket++) {
    for (const folder of foldersOf(bucket)) {
      assert.equal(bucketOf(`group1/M00/${folder}/x`), bucket);
      seen.add(folder);
    }
  }
  assert.equal(seen.size, 65536);
});
