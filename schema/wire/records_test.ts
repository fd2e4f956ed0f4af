import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Change,
  Change as ChangeSchema,
  type ChangeBody,
  type FileEntry,
} from "../change.ts";
import { RECORD_BODY_BYTES_MAX } from "../limits.ts";
import { ByteReader } from "./byte_cursor.ts";
import { decodeRecord } from "./record_codec.ts";
import {
  decodeAck,
  decodeRecords,
  decodeReject,
  encodeAck,
  encodeRecord,
  encodeRecordHead,
  encodeRecordsHead,
  encodeReject,
  type WireContent,
} from "./records.ts";

const ID = "group1/M00/03/4C/fwALAmsCk_yAZCHIAAAADvqdFXc323.txt";

const ENTRY: FileEntry = {
  id: ID,
  state: "present",
  epoch: 3,
  version: 1,
  origin: 2,
  sizeBytes: 3,
  crc32: 7,
  sha256: "a".repeat(64),
  type: null,
  name: "née.txt",
  meta: { author: "me" },
  createdS: 1,
  appender: false,
  master: null,
};
const WHOLE: Change = { entry: ENTRY, body: { kind: "whole" } };

function body(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function one(change: unknown, inline = new Uint8Array(3)) {
  const record = encodeRecord(change as Change, { kind: "inline" }, inline);
  return body(encodeRecordsHead(1, 1), record);
}

function faultOf(bytes: Uint8Array<ArrayBuffer>): string {
  const decoded = decodeRecords(bytes, "group1");
  assert.equal(decoded.ok, false);
  return decoded.ok ? "" : decoded.fault;
}

Deno.test("encodeRecordsHead() and encodeRecord() write the documented layout", () => {
  assert.equal(
    encodeRecordsHead(2, 9).toHex(),
    "0000000000000002" + "0000000000000009",
  );
  const record = encodeRecord(
    WHOLE,
    { kind: "inline" },
    Uint8Array.of(1, 2, 3),
  );
  assert.equal(
    record.toHex(),
    "00000097" + "00000003" + "14" + "01" + "01" + "01" +
      "0000000000000003" + "0000000000000001" + "00000002" +
      "0000000000000003" + "00000007" + "0000000000000001" +
      "0033" + new TextEncoder().encode(ID).toHex() + "aa".repeat(32) +
      "0008" + "6ec3a9652e747874" +
      "0006" + "617574686f72" + "0002" + "6d65" + "010203",
  );
});

const anyText = (max: number) =>
  fc.string({ maxLength: max, unit: "grapheme" });
const anyPosition = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const anyCount = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const anyCrc = fc.nat({ max: 0xffff_ffff });
const anySha256 = fc.uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => bytes.toHex());
const orNull = <T>(arb: fc.Arbitrary<T>) => fc.option(arb, { nil: null });
const anyEntry = fc.record({
  id: fc.constant(ID),
  state: fc.constantFrom("present" as const, "tombstone" as const),
  epoch: anyPosition,
  version: anyCount,
  origin: fc.integer({ min: 1, max: 2 ** 24 - 1 }),
  sizeBytes: anyPosition,
  crc32: anyCrc,
  sha256: orNull(anySha256),
  type: orNull(anyText(20)),
  name: orNull(anyText(30)),
  meta: fc.dictionary(
    anyText(8).filter((name) => name !== "" && name !== "__proto__"),
    anyText(10),
    { noNullPrototype: true },
  ),
  createdS: anyPosition,
  appender: fc.boolean(),
  master: orNull(fc.constant(ID)),
}, { noNullPrototype: true });
const anyBase = { baseEpoch: anyPosition, baseVersion: anyCount };
const anyBody: fc.Arbitrary<ChangeBody> = fc.oneof(
  fc.constant({ kind: "none" as const }),
  fc.constant({ kind: "whole" as const }),
  fc.record({
    kind: fc.constant("range" as const),
    offset: anyPosition,
    lengthBytes: anyPosition,
    ...anyBase,
  }, { noNullPrototype: true }),
  fc.record({ kind: fc.constant("truncate" as const), ...anyBase }, {
    noNullPrototype: true,
  }),
);
const anyContent: fc.Arbitrary<WireContent> = fc.oneof(
  fc.constant({ kind: "none" as const }),
  fc.constant({ kind: "inline" as const }),
  fc.constant({ kind: "unknown" as const }),
  fc.constant({ kind: "gone" as const }),
  fc.record({
    kind: fc.constant("elsewhere" as const),
    sizeBytes: anyPosition,
    crc32: anyCrc,
    sha256: anySha256,
  }, { noNullPrototype: true }),
);

Deno.test("decodeRecord() returns what encodeRecord() was given", () => {
  fc.assert(
    fc.property(
      anyEntry,
      anyBody,
      anyContent,
      fc.uint8Array({ maxLength: 50 }),
      fc.option(fc.constantFrom("a", "key-1", "~".repeat(255)), {
        nil: undefined,
      }),
      (entry, body, content, inline, key) => {
        const change: Change = key === undefined
          ? { entry, body }
          : { entry, body, key };
        const bytes = encodeRecord(change, content, inline);
        const head = encodeRecordHead(change, content, inline.length);
        assert.equal(head.toHex() + inline.toHex(), bytes.toHex());
        const reader = new ByteReader(bytes);
        const decoded = decodeRecord(reader);
        assert.deepEqual(decoded.change, change);
        assert.deepEqual(decoded.content, content);
        assert.equal(decoded.inline.toHex(), inline.toHex());
        assert.equal(reader.left, 0);
      },
    ),
  );
});

Deno.test("decodeRecords() returns every record of a frame", () => {
  const inlines = fc.array(fc.uint8Array({ maxLength: 200 }), {
    minLength: 1,
    maxLength: 5,
  });
  const anyPlace = fc.integer({ min: 1, max: 2 ** 45 });
  fc.assert(fc.property(inlines, anyPlace, (inlines, place) => {
    const parts = inlines.map((inline) => {
      const entry = { ...ENTRY, sizeBytes: inline.length };
      const change: Change = { entry, body: { kind: "whole" } };
      return encodeRecord(change, { kind: "inline" }, inline);
    });
    const decoded = decodeRecords(
      body(encodeRecordsHead(place, place), ...parts),
      "group1",
    );
    assert(decoded.ok, decoded.ok ? "" : decoded.fault);
    assert.equal(decoded.value.incarnation, place);
    assert.equal(decoded.value.firstSequence, place);
    assert.deepEqual(
      decoded.value.records.map((record) => record.inline.toHex()),
      inlines.map((inline) => inline.toHex()),
    );
  }));
});

Deno.test("what decodeRecords() takes from damaged bytes is valid by the schema", () => {
  const good = one(WHOLE);
  let taken = 0;
  for (let bit = 0; bit < good.length * 8; bit++) {
    const bad = good.slice();
    bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const decoded = decodeRecords(bad, "group1");
    if (!decoded.ok) continue;
    taken++;
    for (const { change } of decoded.value.records) {
      assert(ChangeSchema.safeParse(change).success, `bit ${bit}`);
    }
  }
  assert(taken > 0); // frames have a checksum against this; here there is none
});

Deno.test("decodeRecords() never throws, whatever comes", () => {
  const good = one(WHOLE);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    decodeRecords(new Uint8Array(bytes), "group1");
  }));
  fc.assert(fc.property(fc.nat(), fc.nat({ max: 255 }), (at, byte) => {
    const bad = good.slice();
    bad[at % bad.length] = byte;
    decodeRecords(bad, "group1");
  }));
  for (let length = 0; length < good.length; length++) {
    assert.equal(decodeRecords(good.slice(0, length), "group1").ok, false);
  }
});

Deno.test("decodeRecords() refuses what must never be stored", () => {
  const entry = (more: Partial<FileEntry>) =>
    one({
      entry: { ...ENTRY, ...more },
      body: { kind: "whole" },
    });
  for (
    const id of [
      "group1/M00/../../etc/passwd",
      "group1/M00/03/4C/../../../../../../../../etc/passwd",
      "/etc/passwd",
      "group1/M00/03/4C/fwALAmsCk_yAZCHIAAAADvqdFXc323.txt\0",
      "group1\\M00\\03\\4C\\fwALAmsCk_yAZCHIAAAADvqdFXc323.txt",
    ]
  ) assert.match(faultOf(entry({ id })), /malformed file ID/);
  const other = ID.replace("group1", "group2");
  assert.match(faultOf(entry({ id: other })), /another group/);
  assert.match(faultOf(entry({ sizeBytes: 4 })), /3 bytes came/);
  assert.match(faultOf(entry({ version: 0 })), /version 0/);
  assert.match(faultOf(entry({ origin: 0 })), /no such node/);
  assert.match(faultOf(entry({ name: "n".repeat(1025) })), /too long/);
  assert.match(faultOf(entry({ meta: { "": "x" } })), /without a name/);
  const meta = Object.fromEntries(
    Array.from({ length: 65 }, (_, i) => [`name${i}`, ""]),
  );
  assert.match(faultOf(entry({ meta })), /more metadata/);
  const range = {
    kind: "range",
    offset: 2,
    lengthBytes: 3,
    baseEpoch: 1,
    baseVersion: 1,
  };
  assert.match(faultOf(one({ entry: ENTRY, body: range })), /behind its file/);
  const sizeBytes = RECORD_BODY_BYTES_MAX + 1;
  const long = { ...ENTRY, sizeBytes };
  const inline = new Uint8Array(sizeBytes);
  assert.match(
    faultOf(one({ entry: long, body: { kind: "whole" } }, inline)),
    /more inline bytes/,
  );
  const loose = body(
    encodeRecordsHead(1, 1),
    encodeRecord(WHOLE, { kind: "none" }, new Uint8Array(3)),
  );
  assert.match(faultOf(loose), /without inline content/);
  assert.match(faultOf(encodeRecordsHead(1, 1)), /cut off/);
  const record = encodeRecord(WHOLE, { kind: "inline" }, new Uint8Array(3));
  assert.match(faultOf(body(encodeRecordsHead(0, 1), record)), /incarnation/);
  assert.match(faultOf(body(encodeRecordsHead(1, 0), record)), /sequence/);
});

Deno.test("acks and rejects travel, damaged ones are refused", () => {
  const ack = { incarnation: 2, written: 9, durable: 7 };
  const bytes = encodeAck(ack);
  assert.equal(
    bytes.toHex(),
    "0000000000000002" + "0000000000000009" + "0000000000000007",
  );
  assert.deepEqual(decodeAck(bytes), { ok: true, value: ack });
  assert.equal(decodeAck(bytes.slice(1)).ok, false);
  assert.equal(decodeAck(encodeAck({ ...ack, durable: 10 })).ok, false);
  assert.equal(decodeAck(new Uint8Array(24).fill(255)).ok, false);
  assert.deepEqual(decodeReject(encodeReject(5)), { ok: true, value: 5 });
  assert.equal(decodeReject(new Uint8Array(7)).ok, false);
});
