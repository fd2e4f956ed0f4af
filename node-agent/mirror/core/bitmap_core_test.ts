/** The out-of-sync bitmap against a plain set of blocks; large volumes. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { BLOCK_BYTES, OutOfSyncBitmap } from "./bitmap_core.ts";

const KIB = 1024;
const TIB = 1024 ** 4;
/** Not whole blocks, as an external disk may have. */
const SIZE = 397 * BLOCK_BYTES + 512;
const BLOCKS = 398;

const range = fc.record({
  isSet: fc.boolean(),
  offset: fc.nat(SIZE - 1),
  lengthBytes: fc.integer({ min: 1, max: 600 * KIB }),
});

function blocksOf(bitmap: OutOfSyncBitmap): number[] {
  const found = [];
  for (let at = bitmap.next(0); at !== -1; at = bitmap.next(at + 1)) {
    found.push(at);
  }
  return found;
}

/** What a bitmap should do, block by block. */
function apply(
  marked: Set<number>,
  { isSet, offset, lengthBytes }: {
    isSet: boolean;
    offset: number;
    lengthBytes: number;
  },
): void {
  const end = Math.min(offset + lengthBytes, SIZE);
  for (let block = 0; block < BLOCKS; block++) {
    const from = block * BLOCK_BYTES;
    const behind = Math.min(from + BLOCK_BYTES, SIZE);
    if (isSet && from < end && behind > offset) marked.add(block);
    if (!isSet && from >= offset && behind <= end) marked.delete(block);
  }
}

Deno.test("ranges of any kind, and what was saved", () => {
  fc.assert(fc.property(fc.array(range, { maxLength: 30 }), (ranges) => {
    const bitmap = new OutOfSyncBitmap(SIZE);
    const marked = new Set<number>();
    for (const each of ranges) {
      const before = [...marked].sort().join();
      bitmap.saved(bitmap.unsavedPages());
      if (each.isSet) bitmap.set(each.offset, each.lengthBytes);
      else bitmap.clear(each.offset, each.lengthBytes);
      apply(marked, each);
      const hasChanged = [...marked].sort().join() !== before;
      assert.equal(bitmap.unsavedPages().length > 0, hasChanged);
    }
    assert.deepEqual(blocksOf(bitmap), [...marked].sort((a, b) => a - b));
    assert.equal(bitmap.count, marked.size);
    for (const sizeBytes of [SIZE, 2 * SIZE, 200 * BLOCK_BYTES]) {
      const other = bitmap.resized(sizeBytes, true);
      const kept = [...marked].filter((block) => block < other.blocks);
      const fresh = Array.from({ length: other.blocks }, (_, block) => block)
        .filter((block) => (block + 1) * BLOCK_BYTES > SIZE);
      const expected = new Set([...kept, ...sizeBytes > SIZE ? fresh : []]);
      assert.deepEqual(blocksOf(other), [...expected].sort((a, b) => a - b));
      assert.equal(other.count, expected.size);
    }
  }));
});

Deno.test("a piece of another bitmap adds its blocks, and none behind the end", () => {
  const piece = fc.uint8Array({ maxLength: 80 });
  const at = fc.nat(4096 - 80);
  fc.assert(
    fc.property(
      fc.array(range),
      fc.nat(60),
      at,
      piece,
      (ranges, near, far, piece) => {
        for (const atByte of [near, far]) {
          const bitmap = new OutOfSyncBitmap(SIZE);
          const marked = new Set<number>();
          for (const each of ranges) {
            bitmap.set(each.offset, each.lengthBytes);
            apply(marked, { ...each, isSet: true });
          }
          bitmap.saved(bitmap.unsavedPages());
          const before = marked.size;
          piece.forEach((bits, index) => {
            for (let bit = 0; bit < 8; bit++) {
              const block = (atByte + index) * 8 + bit;
              if ((bits >> bit & 1) === 1 && block < BLOCKS) marked.add(block);
            }
          });
          bitmap.merge(atByte, piece);
          assert.deepEqual(blocksOf(bitmap), [...marked].sort((a, b) => a - b));
          assert.equal(bitmap.count, marked.size);
          assert.equal(bitmap.unsavedPages().length > 0, marked.size > before);
        }
      },
    ),
  );
});

Deno.test("blocks behind 8 TiB count as well", () => {
  const bitmap = new OutOfSyncBitmap(9 * TIB);
  const last = bitmap.blocks - 1;
  bitmap.set(9 * TIB - 1, 1);
  assert.ok(bitmap.has(last));
  assert.equal(bitmap.next(last - 100), last);
  assert.deepEqual(bitmap.unsavedPages(), [9 * 8192 - 1]);
  bitmap.set(9 * TIB - 1, 1);
  assert.equal(bitmap.count, 1);
  bitmap.clear(9 * TIB - BLOCK_BYTES, BLOCK_BYTES);
  assert.equal(bitmap.count, 0);
});
