/** The size of a volume: what two disks agree on, and what a resize may do. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { growthOf, guestSize, meetingSize } from "./size_core.ts";

const bytes = fc.integer({ min: 1, max: 20 });
const disk = fc.record({
  backingBytes: bytes,
  agreedBytes: fc.nat(20),
  wantedBytes: fc.nat(20),
});

Deno.test("both nodes come to the same, and nothing agreed is lost", () => {
  fc.assert(fc.property(disk, disk, (a, b) => {
    const [here, there] = [meetingSize(a, b), meetingSize(b, a)];
    const agreed = Math.max(a.agreedBytes, b.agreedBytes);
    const fits = Math.min(a.backingBytes, b.backingBytes) >= agreed;
    assert.equal("sizeBytes" in here, fits);
    assert.equal("sizeBytes" in there, fits);
    if (!("sizeBytes" in here) || !("sizeBytes" in there)) return;
    assert.equal(here.sizeBytes, there.sizeBytes);
    assert.ok(agreed === 0 || here.sizeBytes === agreed);
    assert.ok(here.sizeBytes <= Math.min(a.backingBytes, b.backingBytes));
    const isBehind = a.agreedBytes !== 0 && a.agreedBytes < here.sizeBytes;
    assert.equal(here.isNewDirty, isBehind || a.agreedBytes === 0);
    assert.equal(there.isPeerDirty, isBehind);
  }));
});

Deno.test("larger disks alone let no volume grow", () => {
  const larger = { backingBytes: 20, agreedBytes: 10 };
  const met = meetingSize(larger, larger);
  assert.equal("sizeBytes" in met ? met.sizeBytes : undefined, 10);
});

Deno.test("a resize never shrinks, and takes no more than there is", () => {
  const question = fc.record({
    currentBytes: bytes,
    wantedBytes: fc.nat(20),
    ownBytes: bytes,
    otherBytes: bytes,
  });
  fc.assert(fc.property(question, (asked) => {
    const growth = growthOf(asked);
    const possible = Math.min(asked.ownBytes, asked.otherBytes);
    if ("code" in growth) {
      const isShrinking = asked.wantedBytes < asked.currentBytes &&
        possible >= asked.currentBytes;
      assert.equal(growth.code, isShrinking ? 170 : 111);
      assert.ok(growth.why.length < 500);
      return;
    }
    assert.ok(growth.sizeBytes >= asked.currentBytes);
    assert.ok(growth.sizeBytes <= possible);
    if (asked.wantedBytes > 0) {
      assert.equal(growth.sizeBytes, asked.wantedBytes);
    }
    const isSame = growth.sizeBytes === asked.currentBytes;
    assert.equal(growth.note !== undefined, isSame && asked.wantedBytes === 0);
  }));
});

Deno.test("without a disk a node goes by the peer's size, and serves none that shrinks", () => {
  const peer = { backingBytes: 20, agreedBytes: 10 };
  const sizeOf = (sizeBytes: number, isServing: boolean) => {
    const size = guestSize({ sizeBytes, isServing }, peer);
    return "refused" in size ? "refused" : size.sizeBytes;
  };
  assert.deepEqual([0, 5, 10, 15].map((size) => sizeOf(size, true)), [
    10,
    10,
    10,
    "refused",
  ]);
  assert.equal(sizeOf(15, false), 10);
  const isNew = { backingBytes: 20, agreedBytes: 0 };
  const guest = { sizeBytes: 15, isServing: true };
  assert.deepEqual(guestSize(guest, isNew), { sizeBytes: 15 });
});
