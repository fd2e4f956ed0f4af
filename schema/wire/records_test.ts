import assert from "node:assert/strict";
import fc from "fast-check";
import type { Change, FileEntry } from "../change.ts";
import {
  decodeAck,
  decodeRecords,
  decodeReject,
  encodeAck,
  encodeRecord,
  encodeRecordsHead,
  encodeReject,
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
  const text = JSON.stringify({ change: WHOLE, content: { kind: "inline" } });
  const json = new TextEncoder().encode(text);
  const length = json.length.toString(16).padStart(8, "0");
  assert.equal(record.toHex(), `${length}00000003${json.toHex()}010203`);
});

Deno.test("decodeRecords() returns what was encoded", () => {
  const anyRecord = fc.record({
    version: fc.integer({ min: 1, max: 2 ** 40 }),
    name: fc.option(fc.string({ maxLength: 30 }), { nil: null }),
    inline: fc.uint8Array({ maxLength: 200 }),
    meta: fc.dictionary(
      fc.string({ minLength: 1, maxLength: 10 }).filter((name) =>
        name !== "__proto__"
      ),
      fc.string({ maxLength: 10 }),
      { noNullPrototype: true },
    ),
  });
  const anyRecords = fc.array(anyRecord, { minLength: 1, maxLength: 5 });
  const anyPlace = fc.integer({ min: 1, max: 2 ** 45 });
  fc.assert(fc.property(anyRecords, anyPlace, (records, place) => {
    const changes = records.map(({ version, name, inline, meta }): Change => ({
      entry: { ...ENTRY, version, name, meta, sizeBytes: inline.length },
      body: { kind: "whole" },
    }));
    const parts = changes.map((change, i) =>
      encodeRecord(change, { kind: "inline" }, records[i]?.inline)
    );
    const decoded = decodeRecords(
      body(encodeRecordsHead(place, place), ...parts),
      "group1",
    );
    assert(decoded.ok, decoded.ok ? "" : decoded.fault);
    assert.equal(decoded.value.incarnation, place);
    assert.equal(decoded.value.firstSequence, place);
    assert.deepEqual(
      decoded.value.records.map((one) => [one.change, one.inline.toHex()]),
      changes.map((change, i) => [change, records[i]?.inline.toHex()]),
    );
  }));
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
  assert.match(faultOf(entry({ version: 0 })), /not valid/);
  assert.match(faultOf(entry({ sha256: "A".repeat(64) })), /not valid/);
  const range = {
    kind: "range",
    offset: 2,
    lengthBytes: 3,
    baseEpoch: 1,
    baseVersion: 1,
  };
  assert.match(faultOf(one({ entry: ENTRY, body: range })), /behind its file/);
  const long = { ...ENTRY, sizeBytes: 70_000 };
  const inline = new Uint8Array(70_000);
  assert.match(
    faultOf(one({ entry: long, body: { kind: "whole" } }, inline)),
    /more than allowed/,
  );
  const loose = body(
    encodeRecordsHead(1, 1),
    encodeRecord(WHOLE, { kind: "none" }, new Uint8Array(3)),
  );
  assert.match(faultOf(loose), /without inline content/);
  assert.match(faultOf(encodeRecordsHead(1, 1)), /holds no record/);
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
