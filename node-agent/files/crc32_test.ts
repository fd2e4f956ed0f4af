import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { MIB } from "@kedge/schema";
import { BlockChecksums, combineCrc32, zerosCrc32 } from "./crc32.ts";
import { someBytes } from "./store_fixture.ts";

const bytes = fc.uint8Array({ maxLength: 300 });

Deno.test("combineCrc32() gives the checksum of two pieces together", () => {
  fc.assert(fc.property(bytes, bytes, (a, b) => {
    const whole = crc32(new Uint8Array([...a, ...b]));
    assert.equal(combineCrc32(crc32(a), crc32(b), b.length), whole);
  }));
  const a = someBytes(3 * MIB + 1, 1);
  const b = someBytes(2 * MIB + 77, 2);
  const whole = crc32(b, crc32(a));
  assert.equal(combineCrc32(crc32(a), crc32(b), b.length), whole);
});

Deno.test("zerosCrc32() is the checksum of zero bytes", () => {
  for (const length of [0, 1, 2, 7, 4096, MIB, MIB + 1]) {
    assert.equal(zerosCrc32(length), crc32(new Uint8Array(length)));
  }
});

Deno.test("BlockChecksums take zero bytes without having them", () => {
  for (const begin of [0, 1, 5000, MIB - 1, MIB, MIB + 7]) {
    for (const length of [0, 1, MIB - 1, MIB, MIB + 9, 3 * MIB - begin]) {
      const [quick, slow] = [new BlockChecksums(), new BlockChecksums()];
      for (const sums of [quick, slow]) sums.update(someBytes(begin, 4));
      quick.addZeros(length);
      slow.update(new Uint8Array(length));
      for (const sums of [quick, slow]) sums.update(someBytes(10, 5));
      assert.deepEqual(quick, slow);
      assert.deepEqual(quick.packed(), slow.packed());
    }
  }
});

Deno.test("BlockChecksums do not depend on how the bytes are cut", () => {
  const all = someBytes(3 * MIB + 5, 3);
  const whole = new BlockChecksums();
  whole.update(all);
  assert.equal(whole.crc32, crc32(all));
  const packed = whole.packed();
  assert.equal(packed?.length, 16);
  const view = new DataView(packed.buffer);
  assert.equal(view.getUint32(12, true), crc32(all.subarray(3 * MIB)));
  const cuts = fc.array(fc.nat({ max: all.length }), { maxLength: 6 });
  fc.assert(
    fc.property(cuts, fc.nat({ max: all.length }), (places, begin) => {
      const first = new BlockChecksums();
      first.update(all.subarray(0, begin));
      const sums = BlockChecksums
        .after(begin, crc32(all.subarray(0, begin)), first.packed());
      let at = begin;
      for (const cut of [...places, all.length].sort((a, b) => a - b)) {
        if (cut < at) continue;
        sums.update(all.subarray(at, cut));
        at = cut;
      }
      assert.equal(sums.crc32, whole.crc32);
      assert.deepEqual(sums.packed(), packed);
    }),
    { numRuns: 30 },
  );
});
