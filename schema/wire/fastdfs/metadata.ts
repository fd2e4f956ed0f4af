/**
 * User metadata as FastDFS sends it: `name 02 value 01 name 02 value`.
 *
 * @module
 */

import { Buffer } from "node:buffer";

const BETWEEN_PAIRS = "\x01";
const BETWEEN_NAME_AND_VALUE = "\x02";

/**
 * Read metadata. A pair without a value, or an empty name, is left out, as
 * FastDFS does; the last pair of a name wins.
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
    found.set(name, value);
  }
  return Object.fromEntries(found);
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
