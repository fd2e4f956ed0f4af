import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { Bitmap, bitsCovered, bitsTouched, PAGE_BITS } from "./bitmap.ts";

const BITS_MAX = 3 * PAGE_BITS;

/** Steps on a bitmap; ranges may reach past its end. */
const steps = fc.array(
  fc.record({
    isSet: fc.boolean(),
    from: fc.nat(BITS_MAX),
    length: fc.oneof(fc.nat(70), fc.nat(BITS_MAX)),
  }),
  { maxLength: 12 },
);

Deno.test("a bitmap does what a plain array of booleans does", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: BITS_MAX }), steps, (bits, all) => {
      const bitmap = new Bitmap(bits);
      const plain = new Uint8Array(bits);
      for (const { isSet, from, length } of all) {
        const range = { from, to: from + length };
        const before = countOf(plain);
        plain.fill(isSet ? 1 : 0, range.from, range.to);
        const change = isSet ? bitmap.set(range) : bitmap.clear(range);
        equal(change, Math.abs(countOf(plain) - before));
        equal(bitmap.setBits, countOf(plain));
        equal(bitmap.count(range), countOf(plain.slice(range.from, range.to)));
        equal(bitmap.nextSet(from), plain.indexOf(1, from));
        equal(bitmap.nextClear(from), plain.indexOf(0, from));
      }
      deepEqual(bitsOf(bitmap), plain);
      ok(bitmap.bytes.subarray(Math.ceil(bits / 8)).every((b) => b === 0));
    }),
    { numRuns: 60 },
  );
});

Deno.test("exactly the pages that changed are to be written", () => {
  const bitmap = new Bitmap(BITS_MAX);
  equal(bitmap.nextDirty(0), -1);
  bitmap.set({ from: PAGE_BITS + 3, to: PAGE_BITS + 4 });
  bitmap.set({ from: PAGE_BITS + 3, to: PAGE_BITS + 4 });
  equal(bitmap.nextDirty(0), 1);
  equal(bitmap.nextDirty(2), -1);
  bitmap.markWritten(1, 2);
  bitmap.clear({ from: 0, to: PAGE_BITS });
  equal(bitmap.nextDirty(0), -1);
  bitmap.clear({ from: 0, to: BITS_MAX });
  ok(bitmap.isDirty(1) && !bitmap.isDirty(0));
});

Deno.test("what is read from disk is counted, and cut at the end", () => {
  const bitmap = new Bitmap(70);
  bitmap.bytes.fill(0xff);
  bitmap.adopt();
  equal(bitmap.setBits, 70);
  equal(bitmap.bytes[8], 0x3f);
  equal(bitmap.nextSet(70), -1);
  equal(bitmap.nextClear(0), -1);
});

Deno.test("a write touches parts of blocks, a resync covers them whole", () => {
  deepEqual(bitsTouched(7, 2), { from: 0, to: 2 });
  deepEqual(bitsTouched(8, 8), { from: 1, to: 2 });
  deepEqual(bitsCovered(7, 10, 1000), { from: 1, to: 2 });
  deepEqual(bitsCovered(1, 8, 1000), { from: 1, to: 1 });
  // The last block is shorter than 4 KiB: covered when its end is.
  deepEqual(bitsCovered(8, 3, 11), { from: 1, to: 2 });
});

function bitsOf(bitmap: Bitmap): Uint8Array {
  return Uint8Array.from(
    { length: bitmap.bits },
    (_, bit) => bitmap.has(bit) ? 1 : 0,
  );
}

function countOf(bits: Uint8Array): number {
  return bits.reduce((sum, bit) => sum + bit, 0);
}
