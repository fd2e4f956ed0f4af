import assert from "node:assert/strict";
import fc from "fast-check";
import { FRAME_BODY_BYTES_MAX } from "../limits.ts";
import {
  decodeHeader,
  encodeFrame,
  encodeHeader,
  FRAME_HEADER_BYTES,
  FRAME_KINDS,
  type FrameHeader,
  type FrameKind,
} from "./frame.ts";

const ACK: FrameHeader = {
  kind: "ack",
  durable: true,
  bodyLength: 24,
  bodyCrc: 0xdead_beef,
  epoch: 7,
};

Deno.test("encodeHeader() writes the documented layout, byte for byte", () => {
  // If this fails, the wire format changed: bump the version, do not edit this.
  assert.equal(
    encodeHeader(ACK).toHex(),
    "4b444745" + "01" + "07" + "0001" + "00000018" + "deadbeef" +
      "0000000000000007" + "fe86b5a4",
  );
});

Deno.test("decodeHeader() returns what encodeHeader() was given", () => {
  const anyHeader = fc.record({
    kind: fc.constantFrom(...Object.keys(FRAME_KINDS) as FrameKind[]),
    durable: fc.boolean(),
    bodyLength: fc.nat({ max: FRAME_BODY_BYTES_MAX }),
    bodyCrc: fc.nat({ max: 0xffff_ffff }),
    epoch: fc.maxSafeNat(),
  }, { noNullPrototype: true });
  fc.assert(fc.property(anyHeader, (header) => {
    assert.deepEqual(decodeHeader(encodeHeader(header)), { ok: true, header });
  }));
});

Deno.test("decodeHeader() refuses a header with any one bit flipped", () => {
  const good = encodeHeader(ACK);
  for (let bit = 0; bit < FRAME_HEADER_BYTES * 8; bit++) {
    const bad = good.slice();
    bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.equal(decodeHeader(bad).ok, false, `bit ${bit} was accepted`);
  }
});

Deno.test("frame kinds have distinct numbers from 1", () => {
  const numbers = Object.values(FRAME_KINDS);
  assert.deepEqual(numbers, numbers.map((_, index) => index + 1));
});

Deno.test("encodeFrame() refuses a body that is too long", () => {
  const parts = [new Uint8Array(FRAME_BODY_BYTES_MAX), new Uint8Array(1)];
  assert.throws(
    () => encodeFrame({ kind: "chunk", epoch: 1, parts }),
    RangeError,
  );
});
