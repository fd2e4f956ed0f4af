/**
 * Digests behind writes: right ones pass, others end the connection.
 *
 * @module
 */

import assert from "node:assert/strict";
import { digestOf, isKnownDigest } from "./digest.ts";
import { signed, unsigned } from "./integrity.ts";

const frame = {
  kind: "data",
  sequence: 1,
  offset: 4096,
  payload: new Uint8Array(512).fill(7),
} as const;

Deno.test("a write keeps its payload", () => {
  for (const algorithm of ["sha1", "md5", "sha256", "crc32c"]) {
    assert.ok(isKnownDigest(algorithm), algorithm);
    const back = unsigned(signed(frame, algorithm), algorithm);
    assert.deepEqual(back, frame);
  }
});

Deno.test("one wrong bit is found, and so is a missing digest", () => {
  const sent = signed(frame, "sha1");
  for (const at of [0, 511, 512, sent.payload.length - 1]) {
    const payload = sent.payload.slice();
    payload[at] = (payload[at] ?? 0) ^ 4;
    assert.throws(
      () => unsigned({ ...sent, payload }, "sha1"),
      /integrity check FAILED: 512 bytes at 4096/,
    );
  }
  const payload = new Uint8Array(3);
  assert.throws(() => unsigned({ ...frame, payload }, "sha1"), /FAILED/);
  assert.throws(() => unsigned(frame, "no-such"), /not available here/);
});

Deno.test("crc32c is the usual one", () => {
  const bytes = new TextEncoder().encode("123456789");
  assert.equal(digestOf("crc32c", bytes).toHex(), "e3069283");
});
