import assert from "node:assert/strict";
import { isProven, prove, type Transcript } from "./handshake.ts";

const SECRET = "s".repeat(43);
const SAID: Transcript = {
  hello: {
    version: 1,
    node: 1,
    to: 2,
    group: "group1",
    store: "00000000-0000-4000-8000-000000000001",
    boot: "00000000-0000-4000-8000-000000000002",
    purpose: "control",
    nonce: "a".repeat(43),
  },
  challenge: {
    version: 1,
    node: 2,
    store: "00000000-0000-4000-8000-000000000003",
    boot: "00000000-0000-4000-8000-000000000004",
    nonce: "b".repeat(43),
  },
};

Deno.test("prove() gives a fixed value", () => {
  // If this fails, agents of two versions refuse each other: raise the version.
  assert.equal(
    prove(SECRET, "dialer", SAID),
    "kCJQX3_VVG7kEo2M1r0LZKjqJAiUKwaDrnOIQY8cvSY",
  );
});

Deno.test("isProven() takes only this role, secret and transcript", () => {
  const mac = prove(SECRET, "dialer", SAID);
  assert(isProven(mac, SECRET, "dialer", SAID));
  assert(!isProven(mac, SECRET, "acceptor", SAID));
  assert(!isProven(mac, "t".repeat(43), "dialer", SAID));
  assert(!isProven("", SECRET, "dialer", SAID));
  assert(!isProven(mac.slice(1), SECRET, "dialer", SAID));
});

Deno.test("a proof covers every field that was said", () => {
  const mac = prove(SECRET, "dialer", SAID);
  for (const side of ["hello", "challenge"] as const) {
    for (const [field, value] of Object.entries(SAID[side])) {
      const other = typeof value === "number" ? value + 1 : `${value}x`;
      const said = { ...SAID, [side]: { ...SAID[side], [field]: other } };
      assert(!isProven(mac, SECRET, "dialer", said), `${side}.${field}`);
    }
  }
});
