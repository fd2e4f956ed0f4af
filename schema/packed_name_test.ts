import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { PACKED_BYTES, unpackName } from "./packed_name.ts";

const anyBytes = fc.uint8Array({
  minLength: PACKED_BYTES,
  maxLength: PACKED_BYTES,
});

Deno.test("unpackName() reads what base64url wrote, and what follows it not", () => {
  fc.assert(fc.property(anyBytes, fc.string(), (bytes, rest) => {
    const text = Buffer.from(bytes).toString("base64url");
    const into = new Uint8Array(PACKED_BYTES);
    assert(unpackName(text + rest, into));
    assert.deepEqual([...into], [...bytes]);
  }));
});

Deno.test("unpackName() refuses a second spelling of the same bytes", () => {
  const into = new Uint8Array(PACKED_BYTES);
  const zeros = "A".repeat(26);
  for (const last of "BCD") {
    assert.equal(unpackName(zeros + last, into), false, last);
    assert.deepEqual(Buffer.from(zeros + last, "base64url"), Buffer.alloc(20));
  }
  assert.equal(unpackName(`${zeros}E`, into), true);
  assert.equal(into[19], 1);
});
