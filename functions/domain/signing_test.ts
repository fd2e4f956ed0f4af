import assert from "node:assert/strict";
import type { SigningKey } from "@kedge/schema";
import fc from "fast-check";
import { keysInUse, OLD_KEY_LIFE_MS, signingKeyFor } from "./signing.ts";

const anyHistory = fc.tuple(
  fc.array(fc.nat(2 * OLD_KEY_LIFE_MS), { minLength: 1, maxLength: 8 }),
  fc.nat(2 * OLD_KEY_LIFE_MS),
).map(([gapsMs, sinceMs]) => {
  let nowMs = 0;
  const keys: SigningKey[] = [];
  for (const gapMs of gapsMs) {
    nowMs += gapMs;
    keys.unshift({ id: `k${nowMs}`, secret: "", createdMs: nowMs });
  }
  return { keys, nowMs: nowMs + sinceMs };
});

Deno.test("the newest key always counts, a replaced one for 30 minutes", () => {
  fc.assert(fc.property(anyHistory, ({ keys, nowMs }) => {
    const used = keysInUse(keys, nowMs);
    assert.equal(used[0], keys[0]);
    for (const [index, key] of keys.entries()) {
      const replacedMs = keys[index - 1]?.createdMs ?? Infinity;
      const counts = nowMs - replacedMs < OLD_KEY_LIFE_MS;
      assert.equal(used.includes(key), counts);
    }
  }));
});

Deno.test("the signing key counts, and is known to agents if any is", () => {
  const spreadMs = 6000;
  fc.assert(fc.property(anyHistory, ({ keys, nowMs }) => {
    const key = signingKeyFor(keys, nowMs, spreadMs);
    const used = keysInUse(keys, nowMs);
    assert(key && used.includes(key));
    const isKnown = (known: SigningKey) => nowMs - known.createdMs >= spreadMs;
    assert.equal(isKnown(key), used.some(isKnown));
    const newer = used.slice(0, used.indexOf(key));
    if (isKnown(key)) assert(!newer.some(isKnown));
  }));
});

Deno.test("without any key there is nothing to sign with", () => {
  assert.equal(signingKeyFor([], 0, 0), undefined);
});
