import assert from "node:assert/strict";
import fc from "fast-check";
import {
  DEAD,
  decodeRecord,
  encodeRecord,
  RECORD_STATE_AT,
  recordLength,
  segmentToCompact,
} from "./segment.ts";

const record = fc.record({
  id: fc.string({ minLength: 1, maxLength: 200, unit: "grapheme" }),
  epoch: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
  version: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
  crc32: fc.nat({ max: 0xffffffff }),
  body: fc.uint8Array({ maxLength: 300 }),
});

Deno.test("decodeRecord() gives back what encodeRecord() was given", () => {
  fc.assert(fc.property(record, ({ body, ...rest }) => {
    const head = { ...rest, sizeBytes: body.length };
    const bytes = encodeRecord(head, body);
    assert.equal(bytes.length % 8, 0);
    assert.equal(bytes.length, recordLength(head.id, body.length));
    const found = decodeRecord(bytes);
    assert(found !== undefined);
    const { isLive, bodyAt, lengthBytes, ...same } = found;
    assert.deepEqual(same, head);
    assert.equal(isLive, true);
    assert.equal(lengthBytes, bytes.length);
    assert.deepEqual(bytes.slice(bodyAt, bodyAt + body.length), body);
  }));
});

Deno.test("a record is dead when its state says so, and nothing else changes", () => {
  const head = { id: "g/M00/a", epoch: 1, version: 2, crc32: 3, sizeBytes: 0 };
  const bytes = encodeRecord(head, new Uint8Array(0));
  const live = decodeRecord(bytes);
  bytes[RECORD_STATE_AT] = DEAD;
  assert.deepEqual(decodeRecord(bytes), { ...live, isLive: false });
});

Deno.test("decodeRecord() takes no header of which a bit is wrong", () => {
  fc.assert(fc.property(record, fc.nat(), ({ body, ...rest }, where) => {
    const head = { ...rest, sizeBytes: body.length };
    const bytes = encodeRecord(head, body);
    const end = decodeRecord(bytes)?.bodyAt ?? 0;
    const at = where % end;
    if (at === RECORD_STATE_AT) return;
    bytes[at] = (bytes[at] ?? 0) ^ (1 << where % 8);
    assert.equal(decodeRecord(bytes), undefined);
  }));
});

Deno.test("decodeRecord() says nothing about other bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
    assert.equal(decodeRecord(bytes), undefined);
  }));
});

Deno.test("encodeRecord() refuses what fits no record", () => {
  const head = { id: "g", epoch: 1, version: 1, crc32: 0, sizeBytes: 4 };
  assert.throws(() => encodeRecord(head, new Uint8Array(3)), /3 of 4/);
  const long = { ...head, id: "x".repeat(1025) };
  assert.throws(() => encodeRecord(long, new Uint8Array(4)), /1025/);
});

Deno.test("segmentToCompact() takes the first one of which less than half is needed", () => {
  const segments = [
    { segment: 1, sizeBytes: 100, liveBytes: 50 },
    { segment: 2, sizeBytes: 100, liveBytes: 49 },
    { segment: 3, sizeBytes: 1000, liveBytes: 200 },
    { segment: 4, sizeBytes: 0, liveBytes: 0 },
  ];
  const busy = new Set<number>();
  const order: (number | undefined)[] = [];
  for (let round = 0; round < 4; round++) {
    const found = segmentToCompact(segments, (segment) => busy.has(segment));
    order.push(found?.segment);
    if (found !== undefined) busy.add(found.segment);
  }
  assert.deepEqual(order, [2, 3, 4, undefined]);
});
