/**
 * User metadata as FastDFS sends it: `name 02 value 01 name 02 value`.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { META_NAME_BYTES_MAX, META_VALUE_BYTES_MAX } from "../../limits.ts";

const BETWEEN_PAIRS = "\x01";
const BETWEEN_NAME_AND_VALUE = "\x02";

/**
 * Read metadata. A pair without a value, or an empty name, is left out, a name
 * or value that is too long is cut, and the last pair of a name wins: all as
 * FastDFS does.
 *
 * @param bytes As they came; texts are UTF-8.
 * @returns `undefined` when they are not UTF-8.
 */
export function readMetadata(
  bytes: Uint8Array,
): Record<string, string> | undefined {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
  const found = new Map<string, string>();
  for (const pair of text.split(BETWEEN_PAIRS)) {
    const [name = "", value, ...more] = pair.split(BETWEEN_NAME_AND_VALUE);
    if (name === "" || value === undefined || more.length > 0) continue;
    found.set(
      cut(name, META_NAME_BYTES_MAX),
      cut(value, META_VALUE_BYTES_MAX),
    );
  }
  return Object.fromEntries(found);
}

/** At most so many bytes of UTF-8, and no part of a character. */
function cut(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= bytesMax) return text;
  let end = bytesMax;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString("utf8", 0, end);
}

/** Write metadata, sorted by name as bytes. */
export function encodeMetadata(
  meta: Readonly<Record<string, string>>,
): Uint8Array {
  const pairs = Object.entries(meta)
    .map(([name, value]) => Buffer.from(`${name}\x02${value}`))
    .sort((a, b) => Buffer.compare(a, b));
  return Buffer.from(pairs.map(String).join(BETWEEN_PAIRS));
}
