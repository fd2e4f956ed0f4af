/**
 * The pulse: one datagram asks whether a node still lives, one answers.
 *
 * Pings travel in the connection, so a node whose disk has stopped cannot answer
 * them: whoever serves the disk waits for it. Answers to a pulse come from
 * another thread of the same process. They only keep a connection from being
 * given up too early; nothing is decided by them.
 *
 * ```text
 * offset  size  field
 *      0     8  magic "KDGPULS1"
 *      8     1  1: ask, 2: answer
 *      9     7  0
 *     16    16  session: which connection
 *     32     8  number of the ask, repeated in its answer
 *     40    16  HMAC-SHA-256 of bytes 0..39 with the session's key, cut
 * ```
 *
 * An answer is not longer than its question, and a datagram without the key of
 * a session is dropped: nobody can be made to flood somebody else.
 *
 * @module
 */

import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { Hellos, SharedSecret } from "./greeting.ts";

/** Size of a datagram, in bytes. */
export const PULSE_BYTES = 56;

const MAGIC = new TextEncoder().encode("KDGPULS1");
const SESSION_AT = 16;
const SESSION_BYTES = 16;
const NUMBER_AT = 32;
const MAC_AT = 40;

/** One connection, as both of its ends name it in datagrams. */
export interface PulseSession {
  /** 16 bytes in hex. */
  readonly session: string;
  readonly key: Uint8Array;
}

/** A datagram whose sender has the key. */
export interface Pulse {
  readonly kind: "ask" | "answer";
  readonly number: number;
}

/** What both ends of a greeted connection derive. */
export function pulseSessionOf(
  secret: SharedSecret | undefined,
  hellos: Hellos,
): PulseSession {
  const said = JSON.stringify(["kedge-mirror-pulse", ...hellos]);
  const session = createHash("sha256").update(said).digest("hex")
    .slice(0, 2 * SESSION_BYTES);
  const key = createHmac("sha256", secret?.secret ?? "").update(said).digest();
  return { session, key: new Uint8Array(key) };
}

/** Encode a datagram. */
export function encodePulse(
  { session, key }: PulseSession,
  { kind, number }: Pulse,
): Uint8Array {
  const bytes = new Uint8Array(PULSE_BYTES);
  bytes.set(MAGIC);
  bytes[8] = kind === "ask" ? 1 : 2;
  bytes.set(Uint8Array.fromHex(session), SESSION_AT);
  new DataView(bytes.buffer).setFloat64(NUMBER_AT, number);
  bytes.set(macOf(bytes, key), MAC_AT);
  return bytes;
}

/** The session that a datagram names; undefined: it is none. */
export function sessionOfPulse(bytes: Uint8Array): string | undefined {
  if (bytes.length !== PULSE_BYTES) return undefined;
  if (!MAGIC.every((byte, at) => bytes[at] === byte)) return undefined;
  return bytes.subarray(SESSION_AT, SESSION_AT + SESSION_BYTES).toHex();
}

/** Decode a datagram; undefined: its sender does not have the key. */
export function decodePulse(
  bytes: Uint8Array,
  { session, key }: PulseSession,
): Pulse | undefined {
  if (sessionOfPulse(bytes) !== session) return undefined;
  const mac = bytes.subarray(MAC_AT, PULSE_BYTES);
  if (!timingSafeEqual(mac, macOf(bytes, key))) return undefined;
  const number = new DataView(bytes.buffer, bytes.byteOffset)
    .getFloat64(NUMBER_AT);
  if (bytes[8] !== 1 && bytes[8] !== 2) return undefined;
  return { kind: bytes[8] === 1 ? "ask" : "answer", number };
}

function macOf(bytes: Uint8Array, key: Uint8Array): Uint8Array {
  const mac = createHmac("sha256", key).update(bytes.subarray(0, MAC_AT))
    .digest();
  return new Uint8Array(mac.subarray(0, PULSE_BYTES - MAC_AT));
}
