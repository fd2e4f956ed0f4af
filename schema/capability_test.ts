import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import {
  type CapabilityClaims,
  signCapability,
  verifyCapability,
} from "./capability.ts";
import { CAPABILITY_LIFE_MS_MAX } from "./limits.ts";

const KEY = { id: "k1", secret: "A".repeat(43), createdMs: 0 };
const OTHER = { id: "k2", secret: "B".repeat(43), createdMs: 0 };
const NOW = 1_800_000_000_000;
const CLAIMS: Omit<CapabilityClaims, "k"> = {
  a: "upload",
  g: "group1",
  n: 2,
  p: 0,
  s: 1000,
  e: NOW + 60_000,
};

Deno.test("verifyCapability() returns what signCapability() was given", () => {
  const text = signCapability(CLAIMS, KEY);
  assert.deepEqual(verifyCapability(text, [OTHER, KEY], NOW), {
    ok: true,
    claims: { ...CLAIMS, k: "k1" },
  });
});

Deno.test("verifyCapability() refuses with the first thing that is wrong", () => {
  const good = signCapability(CLAIMS, KEY);
  const [body = "", signature = ""] = good.split(".");
  const forged = Buffer.from(
    JSON.stringify({ ...CLAIMS, k: "k1", s: 1e12 }),
  ).toString("base64url");
  const long = { ...CLAIMS, e: NOW + 3 * CAPABILITY_LIFE_MS_MAX };
  const cases: [string, string][] = [
    ["", "malformed"],
    [body, "malformed"],
    [`${good}.x`, "malformed"],
    ["x".repeat(2000), "malformed"],
    [`bm90IGpzb24.${signature}`, "malformed"],
    [`${forged}.${signature}`, "bad-signature"],
    [`${body}.${signature.slice(1)}`, "bad-signature"],
    [signCapability(CLAIMS, OTHER), "unknown-key"],
    [signCapability({ ...CLAIMS, e: NOW }, KEY), "expired"],
    [signCapability(long, KEY), "lives-too-long"],
  ];
  for (const [text, fault] of cases) {
    assert.deepEqual(verifyCapability(text, [KEY], NOW), { ok: false, fault });
  }
});

Deno.test("verifyCapability() refuses a signature with any one bit flipped", () => {
  const good = signCapability(CLAIMS, KEY);
  const [body = "", signature = ""] = good.split(".");
  const bytes = Buffer.from(signature, "base64url");
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const bad = Buffer.from(bytes);
    bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const text = `${body}.${bad.toString("base64url")}`;
    assert.equal(verifyCapability(text, [KEY], NOW).ok, false, `bit ${bit}`);
  }
});

Deno.test("signCapability() signs with the HMAC of RFC 2104", () => {
  for (const bytes of [1, 32, 63, 64, 65, 200]) {
    const secret = Buffer.alloc(bytes, bytes).toString("base64url");
    const key = { id: "k3", secret, createdMs: 0 };
    // Twice: the second time from the kept state of the key.
    for (const s of [1, 2]) {
      const text = signCapability({ ...CLAIMS, s }, key);
      const [body = "", signature] = text.split(".");
      const wanted = createHmac("sha256", Buffer.from(secret, "base64url"))
        .update(body).digest("base64url");
      assert.equal(signature, wanted, `${bytes} bytes`);
    }
  }
});
