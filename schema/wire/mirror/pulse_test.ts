/**
 * Datagrams of the pulse: only who has the key of a session is believed.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import type { Hellos, MirrorHello } from "./greeting.ts";
import {
  decodePulse,
  encodePulse,
  PULSE_BYTES,
  pulseSessionOf,
  sessionOfPulse,
} from "./pulse.ts";

const hello = (node: string, nonce: string): MirrorHello => ({
  resource: "r0",
  volume: 0,
  node,
  integrity: "",
  nonce: nonce.repeat(32),
});
const hellos: Hellos = [hello("a", "1"), hello("b", "2")];
const session = pulseSessionOf(undefined, hellos);

Deno.test("a pulse survives its way", () => {
  const kinds = fc.constantFrom("ask" as const, "answer" as const);
  fc.assert(fc.property(kinds, fc.nat(), (kind, number) => {
    const bytes = encodePulse(session, { kind, number });
    assert.equal(bytes.length, PULSE_BYTES);
    assert.equal(sessionOfPulse(bytes), session.session);
    assert.deepEqual(decodePulse(bytes, session), { kind, number });
  }));
});

Deno.test("another connection, or another secret, is another key", () => {
  const secret = { algorithm: "sha1", secret: "x" };
  const others = [
    pulseSessionOf(secret, hellos),
    pulseSessionOf(undefined, [hellos[0], hello("b", "3")]),
  ];
  const bytes = encodePulse(session, { kind: "ask", number: 1 });
  for (const other of others) {
    assert.notDeepEqual(other.key, session.key);
    assert.equal(decodePulse(bytes, other), undefined);
    const mixed = { session: session.session, key: other.key };
    assert.equal(decodePulse(bytes, mixed), undefined);
  }
});

Deno.test("every changed byte, and every other length, is refused", () => {
  const bytes = encodePulse(session, { kind: "ask", number: 7 });
  for (let at = 0; at < bytes.length; at++) {
    const changed = bytes.slice();
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.equal(decodePulse(changed, session), undefined, `byte ${at}`);
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (noise) => {
    assert.equal(decodePulse(noise, session), undefined);
  }));
});
