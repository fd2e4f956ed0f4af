/**
 * Content types: which one a file has.
 *
 * @module
 */

import type { FileEntry } from "@kedge/schema/change";
import {
  CONTENT_TYPES as TYPES,
  UNKNOWN_TYPE,
} from "@kedge/schema/content-types";

/** `type/subtype` with parameters: tokens and quoted strings of RFC 9110. */
const TYPE =
  /^([\w!#$&^.+-]+\/[\w!#$&^.+-]+)((?:\s*;\s*[\w!#$&^.+-]+=(?:[\w!#$&^.+:/-]+|"[\x20\x21\x23-\x5b\x5d-\x7e]*"))*)\s*;?\s*$/;
const TYPE_LENGTH_MAX = 255;

/** Types that clients send without meaning them: the extension knows better. */
const UNMEANT = new Set([
  UNKNOWN_TYPE,
  "application/x-www-form-urlencoded",
  "binary/octet-stream",
]);

/**
 * The content type of a file: the stored one, else by its extension.
 *
 * @param entry The file.
 */
export function contentType(entry: Pick<FileEntry, "id" | "type">): string {
  if (entry.type !== null) return entry.type;
  const tail = entry.id.slice(-7);
  const dot = tail.indexOf(".");
  if (dot < 0) return UNKNOWN_TYPE;
  const extension = tail.slice(dot + 1).toLowerCase();
  const last = extension.slice(extension.lastIndexOf(".") + 1);
  return typeByExtension(extension) ?? typeByExtension(last) ?? UNKNOWN_TYPE;
}

/**
 * What to store of a `Content-Type` that a client sent.
 *
 * @returns Lower-case type and its parameters; `null` when the client did not
 * mean it, `undefined` when it is not a content type.
 */
export function storedType(header: string | null): string | null | undefined {
  if (header === null || header.trim() === "") return null;
  const text = header.trim();
  if (text.length > TYPE_LENGTH_MAX) return undefined;
  const [match, type = "", parameters = ""] = TYPE.exec(text) ?? [];
  if (match === undefined) return undefined;
  const lower = type.toLowerCase();
  return UNMEANT.has(lower) ? null : lower + parameters;
}

function typeByExtension(extension: string): string | undefined {
  return Object.hasOwn(TYPES, extension) ? TYPES[extension] : undefined;
}
