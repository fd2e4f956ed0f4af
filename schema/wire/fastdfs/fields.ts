/**
 * Fields of FastDFS's packets: fixed texts, padded with NUL, and big-endian
 * numbers. A field is always as wide as the format says: nothing is left over
 * from an earlier packet behind the NUL.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** Width of a group name, in bytes; one more inside of records. */
export const GROUP_BYTES = 16;
/** Width of an extension, in bytes. */
export const EXTENSION_BYTES = 6;
/** Width of the prefix of a slave file, in bytes. */
export const PREFIX_BYTES = 16;
/** Width of the ID of a storage, in bytes. */
export const STORAGE_ID_BYTES = 16;
/** Longest file name without its group, in bytes. Source: its buffers. */
export const NAME_BYTES_MAX = 127;

const GROUP_PATTERN = /^[A-Za-z0-9]{1,16}$/;
const TWO_32 = 2 ** 32;

/**
 * A 64-bit number. Byte by byte: a view of it would be an object outside of the
 * heap for each number.
 *
 * @returns `undefined` when it is negative or above 2⁵³ − 1.
 */
export function readU64(bytes: Uint8Array, at: number): number | undefined {
  if (bytes.length < at + 8) return undefined;
  const value = readU32(bytes, at) * TWO_32 + readU32(bytes, at + 4);
  return Number.isSafeInteger(value) ? value : undefined;
}

function readU32(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let n = 0; n < 4; n++) value = value << 8 | (bytes[at + n] ?? 0);
  return value >>> 0;
}

/** Write a 64-bit number: a whole one, 0 to 2⁵³ − 1. */
export function writeU64(bytes: Uint8Array, at: number, value: number): void {
  writeU32(bytes, at, Math.floor(value / TWO_32));
  writeU32(bytes, at + 4, value % TWO_32);
}

function writeU32(bytes: Uint8Array, at: number, value: number): void {
  for (let n = 0; n < 4; n++) bytes[at + n] = value >>> (24 - 8 * n);
}

/** A text up to its first NUL, one character per byte. */
export function readText(
  bytes: Uint8Array,
  at: number,
  widthBytes: number,
): string {
  const max = Math.min(bytes.length, at + widthBytes);
  let end = at;
  while (end < max && bytes[end] !== 0) end++;
  const text = bytes.subarray(at, end);
  return Buffer.from(text.buffer, text.byteOffset, text.length)
    .toString("latin1");
}

/**
 * Write a text of ASCII characters into a field that is all zeros.
 *
 * @throws {RangeError} When it is too long for the field.
 */
export function writeText(
  bytes: Uint8Array,
  field: { readonly at: number; readonly widthBytes: number },
  text: string,
): void {
  if (text.length > field.widthBytes) {
    throw new RangeError(
      `Cannot write "${text}" into ${field.widthBytes} bytes`,
    );
  }
  for (let n = 0; n < text.length; n++) {
    bytes[field.at + n] = text.charCodeAt(n) & 0x7f;
  }
}

/** The group name in a field; `undefined` when it cannot be one. */
export function readGroup(bytes: Uint8Array, at = 0): string | undefined {
  const text = readText(bytes, at, GROUP_BYTES);
  return GROUP_PATTERN.test(text) ? text : undefined;
}
