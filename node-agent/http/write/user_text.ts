/**
 * Text that users give, checked before it is kept: names, metadata, keys.
 *
 * It is data only and never becomes a path. Control characters and those that
 * turn the direction of text are refused: they make a name look like another.
 *
 * @module
 */

import {
  FILE_NAME_BYTES_MAX,
  META_ENTRIES_MAX,
  META_NAME_BYTES_MAX,
  META_VALUE_BYTES_MAX,
  Problem,
} from "@kedge/schema";
import { FileMeta } from "@kedge/schema/change";

const UNFIT = /[\p{Cc}\p{Bidi_C}]|\p{Cs}/u;
const META_PREFIX = "x-kedge-meta-";
const KEY = /^[\x21-\x7e]{1,255}$/;
const ENCODER = new TextEncoder();

/**
 * A file name to keep: its last segment, in Unicode normal form C.
 *
 * @param text As the client gave it; browsers may send a whole path.
 * @returns `null` when nothing is left.
 * @throws {Problem} `invalid-request` when it is too long or not fit to show.
 */
export function fileName(text: string): string | null {
  const name = text.normalize("NFC").replace(/^.*[/\\]/s, "");
  if (UNFIT.test(name)) throw invalid("name", "has characters not fit to show");
  if (byteLength(name) > FILE_NAME_BYTES_MAX) {
    throw invalid("name", `is longer than ${FILE_NAME_BYTES_MAX} bytes`);
  }
  return name === "" ? null : name;
}

/**
 * Decode a segment of a path.
 *
 * @throws {Problem} `invalid-request` unless it is UTF-8.
 */
export function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw invalid("name", "is not percent-encoded UTF-8");
  }
}

/**
 * The metadata among the headers of an upload (`x-kedge-meta-NAME: VALUE`).
 *
 * @throws {Problem} `invalid-request` beyond FastDFS's limits.
 */
export function metaFromHeaders(headers: Headers): FileMeta {
  let meta: Record<string, string> | undefined;
  for (const [name, value] of headers) {
    if (!name.startsWith(META_PREFIX)) continue;
    meta ??= {};
    meta[name.slice(META_PREFIX.length)] = utf8Header(value);
  }
  return meta === undefined ? {} : checkedMeta(meta);
}

/**
 * Check metadata that a client sent.
 *
 * @param value Any JSON.
 * @throws {Problem} `invalid-request` naming the entry.
 */
export function checkedMeta(value: unknown): FileMeta {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid("meta", "is not an object of texts");
  }
  const entries = Object.entries(value);
  if (entries.length > META_ENTRIES_MAX) {
    throw invalid("meta", `has more than ${META_ENTRIES_MAX} entries`);
  }
  for (const [name, text] of entries) checkMetaEntry(name, text);
  return FileMeta.parse(value);
}

function checkMetaEntry(name: string, text: unknown): void {
  if (name === "" || byteLength(name) > META_NAME_BYTES_MAX) {
    throw invalid(
      "meta",
      `has a name not of 1 to ${META_NAME_BYTES_MAX} bytes`,
    );
  }
  if (typeof text !== "string" || byteLength(text) > META_VALUE_BYTES_MAX) {
    throw invalid(
      "meta",
      `has a value that is not a text of up to ${META_VALUE_BYTES_MAX} bytes`,
    );
  }
  if (UNFIT.test(name) || UNFIT.test(text)) {
    throw invalid("meta", "has characters not fit to show");
  }
}

/**
 * An `Idempotency-Key`: 1 to 255 visible ASCII characters.
 *
 * @throws {Problem} `invalid-request` for anything else.
 */
export function idempotencyKey(header: string | null): string | undefined {
  if (header === null) return undefined;
  if (KEY.test(header)) return header;
  throw invalid("idempotency-key", "is not 1 to 255 visible ASCII characters");
}

/** A refusal that names the field. */
export function invalid(path: string, message: string): Problem {
  return new Problem("invalid-request", `${path} ${message}`, {
    issues: [{ path, message }],
  });
}

/** Header values arrive with one character per byte. */
function utf8Header(value: string): string {
  // deno-lint-ignore no-control-regex -- the question is whether it is ASCII
  if (/^[\x00-\x7f]*$/.test(value)) return value;
  const bytes = Uint8Array.from(value, (char) => char.charCodeAt(0));
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw invalid("meta", "is not UTF-8");
  }
}

function byteLength(text: string): number {
  return ENCODER.encode(text).length;
}
