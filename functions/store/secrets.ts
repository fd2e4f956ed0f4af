/**
 * Secrets: made from the system's randomness, kept as SHA-256, compared in
 * constant time.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

/** 32 random bytes in base64url, with a prefix that says what it is. */
export function newSecret(prefix = ""): string {
  return prefix + randomBytes(32).toString("base64url");
}

/** SHA-256 of a secret, in hex: what is stored. */
export function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

/** Whether two hashes are equal; takes the same time for all of one length. */
export function isSameHash(given: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(given, "hex"), Buffer.from(wanted, "hex")];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Whether `secret` is the one with this hash. */
export function isSecret(secret: string, hash: string): boolean {
  return isSameHash(hashOf(secret), hash);
}
