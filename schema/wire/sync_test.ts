import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import {
  FRAME_BODY_BYTES_MAX,
  INLINE_BODY_BYTES_MAX,
  NODE_ID_MAX,
} from "../limits.ts";
import { encodeFrame } from "./frame.ts";
import {
  decodeText,
  encodeText,
  LinkState,
  LogReportBody,
  REPORT_ENDS_MAX,
  REPORT_POSITIONS_MAX,
  ReportRequest,
} from "./sync.ts";

const anyPosition = fc.record({
  origin: fc.integer({ min: 1, max: NODE_ID_MAX }),
  incarnation: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  sequence: fc.maxSafeNat(),
}, { noNullPrototype: true });
const anyNumber = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });

Deno.test("reports are written as documented, byte for byte", () => {
  // If this fails, the wire format changed: agents of two versions talk.
  const at = { origin: 2, incarnation: 7, sequence: 9 };
  const parts = [encodeText({ number: 3, ends: [at], positions: [] })];
  const [header, body] = encodeFrame({ kind: "report", epoch: 5, parts });
  assert.equal(header?.[5], 27);
  assert.equal(
    Buffer.from(body ?? []).toString(),
    '{"number":3,"ends":[{"origin":2,"incarnation":7,"sequence":9}],"positions":[]}',
  );
  const request = encodeFrame({
    kind: "report-request",
    epoch: 5,
    parts: [encodeText({ number: 3 })],
  });
  assert.equal(request[0]?.[5], 26);
  assert.equal(Buffer.from(request[1] ?? []).toString(), '{"number":3}');
});

Deno.test("decodeText() returns the report that encodeText() was given", () => {
  const anyReport = fc.record({
    number: anyNumber,
    ends: fc.array(anyPosition),
    positions: fc.array(anyPosition),
  }, { noNullPrototype: true });
  fc.assert(fc.property(anyReport, (value) => {
    assert.deepEqual(decodeText(LogReportBody, encodeText(value)), {
      ok: true,
      value,
    });
    const { number } = value;
    assert.deepEqual(decodeText(ReportRequest, encodeText({ number })), {
      ok: true,
      value: { number },
    });
  }));
});

Deno.test("the longest report fits a frame, a longer one is refused", () => {
  const longest = {
    origin: NODE_ID_MAX,
    incarnation: Number.MAX_SAFE_INTEGER,
    sequence: Number.MAX_SAFE_INTEGER,
  };
  const report = (ends: number, positions: number) =>
    encodeText({
      number: Number.MAX_SAFE_INTEGER,
      ends: new Array(ends).fill(longest),
      positions: new Array(positions).fill(longest),
    });
  const body = report(REPORT_ENDS_MAX, REPORT_POSITIONS_MAX);
  assert(body.length <= FRAME_BODY_BYTES_MAX, `${body.length} bytes`);
  assert.equal(decodeText(LogReportBody, body).ok, true);
  for (
    const [ends, positions] of [[REPORT_ENDS_MAX + 1, 0], [
      0,
      REPORT_POSITIONS_MAX + 1,
    ]] as const
  ) {
    assert.equal(decodeText(LogReportBody, report(ends, positions)).ok, false);
  }
  for (const wrong of [{}, { number: 0 }, { number: 1.5 }, { number: "1" }]) {
    assert.equal(decodeText(ReportRequest, encodeText(wrong)).ok, false);
  }
});

Deno.test("states of agents before and after this one are read", () => {
  const register = {
    group: "group1",
    gen: crypto.randomUUID(),
    epoch: 1,
    members: [],
    insync: [],
  };
  const state = { register, positions: [], incarnation: 1 };
  const read = (value: unknown) => decodeText(LinkState, encodeText(value));
  assert.deepEqual(read(state), { ok: true, value: state });
  const recordBytesMax = INLINE_BODY_BYTES_MAX;
  const value = { ...state, recordBytesMax };
  assert.deepEqual(read({ ...value, later: 1 }), { ok: true, value });
  for (const wrong of [INLINE_BODY_BYTES_MAX - 1, 1e99, "1"]) {
    assert.equal(read({ ...state, recordBytesMax: wrong }).ok, false);
  }
});
