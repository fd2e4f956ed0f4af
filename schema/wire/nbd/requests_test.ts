import assert from "node:assert/strict";
import fc from "fast-check";
import {
  CHUNK_HEADER_BYTES,
  DATA_CHUNK_BYTES,
  decodeRequest,
  ERROR_CHUNK_BYTES,
  ERROR_OFFSET_CHUNK_BYTES,
  putDataChunk,
  putErrorChunk,
  putErrorOffsetChunk,
  putNoneChunk,
  putSimpleReply,
  putStatusChunk,
  REQUEST_BYTES,
  SIMPLE_REPLY_BYTES,
  STATUS_CHUNK_BYTES,
} from "./requests.ts";

const cookie = { cookieHigh: 0xfedcba98, cookieLow: 0x76543210 };

/** What `put` writes at offset 3, and nothing beside it. */
function written(length: number, put: (view: DataView) => void): string {
  const bytes = new Uint8Array(length + 6).fill(0xaa);
  put(new DataView(bytes.buffer));
  assert.deepEqual([...bytes.subarray(0, 3)], [0xaa, 0xaa, 0xaa]);
  assert.deepEqual([...bytes.subarray(length + 3)], [0xaa, 0xaa, 0xaa]);
  return bytes.subarray(3, length + 3).toHex();
}

Deno.test("replies: golden bytes", () => {
  const data = { offset: 0x1_0000_0002, lengthBytes: 4096, isLast: true };
  const at = { errno: 5, offset: 0x1_0000_0002 };
  const extent = { contextId: 1, lengthBytes: 0xffff_ffff, status: 0 };
  const cases: [string, string][] = [
    [
      written(
        SIMPLE_REPLY_BYTES,
        (view) => putSimpleReply(view, 3, cookie, 28),
      ),
      "67446698 0000001c fedcba9876543210",
    ],
    [
      written(DATA_CHUNK_BYTES, (view) => putDataChunk(view, 3, cookie, data)),
      "668e33ef 0001 0001 fedcba9876543210 00001008 0000000100000002",
    ],
    [
      written(CHUNK_HEADER_BYTES, (view) => putNoneChunk(view, 3, cookie)),
      "668e33ef 0001 0000 fedcba9876543210 00000000",
    ],
    [
      written(ERROR_CHUNK_BYTES, (view) => putErrorChunk(view, 3, cookie, 108)),
      "668e33ef 0001 8001 fedcba9876543210 00000006 0000006c 0000",
    ],
    [
      written(
        ERROR_OFFSET_CHUNK_BYTES,
        (view) => putErrorOffsetChunk(view, 3, cookie, at),
      ),
      "668e33ef 0001 8002 fedcba9876543210 0000000e 00000005 0000 0000000100000002",
    ],
    [
      written(
        STATUS_CHUNK_BYTES,
        (view) => putStatusChunk(view, 3, cookie, extent),
      ),
      "668e33ef 0001 0005 fedcba9876543210 0000000c 00000001 ffffffff 00000000",
    ],
  ];
  for (const [found, golden] of cases) {
    assert.equal(found, golden.replaceAll(" ", ""));
  }
});

Deno.test("decodeRequest() reads every field, exactly below 2^53", () => {
  fc.assert(fc.property(
    fc.record({
      flags: fc.nat(0xffff),
      type: fc.nat(0xffff),
      cookieHigh: fc.nat(0xffff_ffff),
      cookieLow: fc.nat(0xffff_ffff),
      offset: fc.maxSafeNat(),
      lengthBytes: fc.nat(0xffff_ffff),
    }, { noNullPrototype: true }),
    (request) => {
      const view = new DataView(new ArrayBuffer(REQUEST_BYTES + 5));
      view.setUint32(5, 0x25609513);
      view.setUint16(9, request.flags);
      view.setUint16(11, request.type);
      view.setUint32(13, request.cookieHigh);
      view.setUint32(17, request.cookieLow);
      view.setBigUint64(21, BigInt(request.offset));
      view.setUint32(29, request.lengthBytes);
      assert.deepEqual(decodeRequest(view, 5), request);
      assert.equal(decodeRequest(view, 4), undefined);
    },
  ));
});

Deno.test("decodeRequest() never takes a huge offset for a small one", () => {
  const huge = fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n });
  fc.assert(fc.property(huge, (offset) => {
    const view = new DataView(new ArrayBuffer(REQUEST_BYTES));
    view.setUint32(0, 0x25609513);
    view.setBigUint64(16, offset);
    assert.ok((decodeRequest(view, 0)?.offset ?? 0) >= 2 ** 53);
  }));
});
