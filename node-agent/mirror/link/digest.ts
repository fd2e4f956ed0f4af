/**
 * Digests by the names that drbd.conf uses (those of the Linux kernel).
 *
 * @module
 */

import { createHash, getHashes } from "node:crypto";
import { crc32cDrbd } from "@kedge/schema/disk/crc32c";

/** Digests that can be configured, beside those of OpenSSL. */
const CRC32C = "crc32c";
const KNOWN: ReadonlySet<string> = new Set([CRC32C, ...getHashes()]);

/** Whether {@link digestOf} knows it. */
export function isKnownDigest(algorithm: string): boolean {
  return KNOWN.has(algorithm);
}

/**
 * The digest of bytes.
 *
 * @throws {Error} For a name that {@link isKnownDigest} does not know.
 */
export function digestOf(algorithm: string, bytes: Uint8Array): Uint8Array {
  if (algorithm !== CRC32C) {
    return createHash(algorithm).update(bytes).digest();
  }
  const digest = new Uint8Array(4);
  new DataView(digest.buffer).setUint32(
    0,
    ~crc32cDrbd(bytes, 0xffff_ffff) >>> 0,
  );
  return digest;
}
