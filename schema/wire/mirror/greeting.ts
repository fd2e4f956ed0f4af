/**
 * How two mirror nodes find out that they mean the same volume, and prove the
 * shared secret, before anything else is said.
 *
 * Both send `hello`, then `proof`: an HMAC over both hellos after a label that
 * differs by role, so that a proof counts for this connection and this side
 * only. Without a secret on both sides the proofs are empty (DRBD's setting
 * without `cram-hmac-alg`).
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";
import { z } from "zod";

/** The longest hello or proof, in bytes. */
export const GREETING_BYTES_MAX = 4096;

/** Who is there, and for which volume. */
export const MirrorHello = z.object({
  resource: z.string().min(1).max(128),
  volume: z.int().min(0).max(65_535),
  /** Name of the sending host. */
  node: z.string().min(1).max(255),
  /** Digest behind the payload of each `data` frame of the sender; "": none. */
  integrity: z.string().max(32).default(""),
  /** Fresh random bytes, hex. */
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
});
/** Who is there, and for which volume. */
export type MirrorHello = z.infer<typeof MirrorHello>;

/** Proof of the shared secret. */
export const MirrorProof = z.object({
  /** HMAC in hex; empty without a secret. */
  mac: z.string().max(256),
});
/** Proof of the shared secret. */
export type MirrorProof = z.infer<typeof MirrorProof>;

/** Who makes a proof. */
export type GreetingRole = "dialer" | "acceptor";

/** The secret that both sides share, and the digest to prove it with. */
export interface SharedSecret {
  /** A digest's name, such as `sha1` (`cram-hmac-alg`). */
  readonly algorithm: string;
  readonly secret: string;
}

/** Both hellos, dialer's first. */
export type Hellos = readonly [dialer: MirrorHello, acceptor: MirrorHello];

/** Prove the secret; empty without one. */
export function proveMirror(
  secret: SharedSecret | undefined,
  role: GreetingRole,
  hellos: Hellos,
): MirrorProof {
  if (secret === undefined) return { mac: "" };
  return { mac: macOf(secret, role, hellos).toString("hex") };
}

/** Check the other side's proof, in constant time. */
export function isProvenMirror(
  proof: MirrorProof,
  secret: SharedSecret | undefined,
  role: GreetingRole,
  hellos: Hellos,
): boolean {
  if (secret === undefined) return proof.mac === "";
  const given = Buffer.from(proof.mac, "hex");
  const wanted = macOf(secret, role, hellos);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

function macOf(secret: SharedSecret, role: GreetingRole, hellos: Hellos) {
  const said = JSON.stringify([`kedge-mirror-${role}`, ...hellos]);
  return createHmac(secret.algorithm, secret.secret).update(said).digest();
}
