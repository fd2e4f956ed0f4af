/**
 * The Distinguished Encoding Rules of ASN.1, as far as a certificate needs them.
 * Writing only. Pure. Source: ITU-T X.690 §8 and §10.
 *
 * ```text
 * value = tag (1 byte), length, content
 * length  0 … 127      one byte
 *         128 …        0x80 + n, then n bytes, big-endian
 * ```
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** An encoded value. */
export type Der = Uint8Array;

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** SEQUENCE of values. */
export function sequence(...parts: readonly Der[]): Der {
  return tagged(TAG.sequence, ...parts);
}

/** SET of one value; more would have to be sorted. */
export function setOf(part: Der): Der {
  return tagged(TAG.set, part);
}

/** INTEGER, not negative, from big-endian bytes. */
export function unsigned(bytes: Uint8Array): Der {
  let at = 0;
  while (at < bytes.length - 1 && bytes[at] === 0) at++;
  const rest = bytes.subarray(at);
  // A first bit that is set would make the number negative.
  const isHigh = ((rest[0] ?? 0) & 0x80) !== 0;
  return tagged(TAG.integer, ...(isHigh ? [Uint8Array.of(0), rest] : [rest]));
}

/** BOOLEAN true; false is a default and therefore never written. */
export function yes(): Der {
  return tagged(TAG.boolean, Uint8Array.of(0xff));
}

/** BIT STRING whose last byte has `unused` bits that do not count. */
export function bitString(bytes: Uint8Array, unused = 0): Der {
  return tagged(TAG.bitString, Uint8Array.of(unused), bytes);
}

/** OCTET STRING. */
export function octetString(bytes: Uint8Array): Der {
  return tagged(TAG.octetString, bytes);
}

/** UTF8String. */
export function utf8(text: string): Der {
  return tagged(TAG.utf8String, new TextEncoder().encode(text));
}

/**
 * OBJECT IDENTIFIER.
 *
 * @param dotted Such as "2.5.4.3".
 */
export function oid(dotted: string): Der {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap(base128);
  return tagged(TAG.oid, Uint8Array.from(bytes));
}

/** Time: UTCTime before 2050, GeneralizedTime after. Source: RFC 5280 §4.1.2.5. */
export function time(date: Date): Der {
  const text = date.toISOString().replace(/[-:T]|\.\d+/g, "");
  const isShort = date.getUTCFullYear() < 2050;
  return tagged(
    isShort ? TAG.utcTime : TAG.generalizedTime,
    new TextEncoder().encode(isShort ? text.slice(2) : text),
  );
}

/** A value with an explicit context tag, `[n] EXPLICIT`. */
export function explicit(number: number, part: Der): Der {
  return tagged(0xa0 + number, part);
}

/** Bytes with an implicit context tag, `[n] IMPLICIT`, primitive. */
export function implicit(number: number, bytes: Uint8Array): Der {
  return tagged(0x80 + number, bytes);
}

/** PEM text of an encoded value. */
export function pem(label: string, der: Der): string {
  const base64 = Buffer.from(der).toString("base64");
  const lines = base64.match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""]
    .join("\n");
}

function tagged(tag: number, ...parts: readonly Uint8Array[]): Der {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Uint8Array.of(tag, ...lengthBytes(length)), ...parts]);
}

function lengthBytes(length: number): number[] {
  if (length < 128) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) {
    bytes.unshift(rest % 256);
  }
  return [0x80 + bytes.length, ...bytes];
}

/** Seven bits per byte, the last one without its high bit. */
function base128(value: number): number[] {
  const bytes = [value & 0x7f];
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) {
    bytes.unshift(0x80 | (rest & 0x7f));
  }
  return bytes;
}
