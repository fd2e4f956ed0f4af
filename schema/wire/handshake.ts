/**
 * How two agents prove the cluster secret to each other.
 *
 * Both sides answer with HMAC-SHA-256 over everything that was said: version,
 * purpose, group, both node numbers, both stores, both boots and both nonces,
 * each with its length in front, after a label that differs by role. So a proof
 * counts for one connection between these two processes only; sending it again,
 * or sending the other's back, fails.
 *
 * Source: users.md §7 (peers are hostile until they prove the secret).
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";
import type { Challenge, Hello } from "./sync.ts";

/** Who makes a proof. */
export type HandshakeRole = "acceptor" | "dialer";

/** What both sides have said before any proof. */
export interface Transcript {
  readonly hello: Hello;
  readonly challenge: Omit<Challenge, "mac">;
}

/**
 * Prove the secret.
 *
 * @param secret The cluster secret, base64url of 32 bytes.
 * @param role Who proves.
 * @param transcript What was said.
 * @returns The proof in base64url.
 */
export function prove(
  secret: string,
  role: HandshakeRole,
  transcript: Transcript,
): string {
  return mac(secret, role, transcript).toString("base64url");
}

/** Check a proof of the other side, in constant time. */
export function isProven(
  given: string,
  secret: string,
  role: HandshakeRole,
  transcript: Transcript,
): boolean {
  const bytes = Buffer.from(given, "base64url");
  const wanted = mac(secret, role, transcript);
  return bytes.length === wanted.length && timingSafeEqual(bytes, wanted);
}

function mac(secret: string, role: HandshakeRole, said: Transcript): Buffer {
  const { hello, challenge } = said;
  const hash = createHmac("sha256", Buffer.from(secret, "base64url"));
  const fields: (string | number)[] = [
    `kedge-sync-${role}`,
    hello.version,
    hello.purpose,
    hello.group,
    hello.node,
    hello.to,
    hello.store,
    hello.boot,
    hello.nonce,
    challenge.version,
    challenge.node,
    challenge.store,
    challenge.boot,
    challenge.nonce,
  ];
  for (const field of fields) {
    const bytes = Buffer.from(String(field));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    hash.update(length).update(bytes);
  }
  return hash.digest();
}
