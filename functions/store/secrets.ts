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

/** Whether `secret` is the one with this hash; takes the same time for all. */
export function isSecret(secret: string, hash: string): boolean {
  const given = Buffer.from(hashOf(secret));
  const wanted = Buffer.from(hash);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}
