/**
 * The headers of one part of a form (RFC 7578 §4, and what browsers send).
 *
 * @module
 */

import { Problem } from "@kedge/schema";

/** What the headers of a part say. */
export interface PartHead {
  /** Name of the field. */
  readonly name: string;
  /** Name of the file; `undefined` for a plain field. */
  readonly fileName: string | undefined;
  /** Content type; `undefined` when not given. */
  readonly type: string | undefined;
}

const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/s;
const EXTENDED =
  /^([A-Za-z0-9-]+)'[A-Za-z0-9-]*'((?:[A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-Fa-f]{2})*)$/;
/** Encodings that leave the bytes as they are. */
const IDENTITY = new Set(["7bit", "8bit", "binary"]);

/**
 * Read the headers of a part.
 *
 * @param bytes Without the empty line at their end.
 * @throws {Problem} `invalid-request`, or `unsupported-media-type` for a
 * transfer encoding, which forms must not have (RFC 7578 §4.7).
 */
export function parsePartHead(bytes: Uint8Array): PartHead {
  const headers = headersOf(bytes);
  const encoding = headers.get("content-transfer-encoding");
  if (encoding !== undefined && !IDENTITY.has(encoding.toLowerCase())) {
    throw new Problem(
      "unsupported-media-type",
      "A part has a Content-Transfer-Encoding: send its bytes as they are",
    );
  }
  const disposition = headers.get("content-disposition") ?? "";
  const parameters = parametersOf(disposition);
  const name = parameters?.get("name");
  if (name === undefined) {
    throw malformed("a part has no Content-Disposition: form-data with a name");
  }
  const extended = parameters?.get("filename*");
  return {
    name,
    fileName: extended === undefined
      ? parameters?.get("filename")
      : decodeExtended(extended),
    type: headers.get("content-type"),
  };
}

function headersOf(bytes: Uint8Array): Map<string, string> {
  const headers = new Map<string, string>();
  for (const line of decodeUtf8(bytes).split("\r\n")) {
    if (line === "") continue;
    const [match, name = "", value = ""] = HEADER.exec(line) ?? [];
    if (match === undefined) throw malformed("a part has a malformed header");
    const key = name.toLowerCase();
    if (headers.has(key)) throw malformed(`a part has ${key} twice`);
    headers.set(key, value);
  }
  return headers;
}

/** Parameters of `form-data; name="x"; …`; `undefined` for anything else. */
function parametersOf(text: string): Map<string, string> | undefined {
  if (!/^form-data\s*(;|$)/i.test(text)) return undefined;
  const parameters = new Map<string, string>();
  let at = text.indexOf(";");
  while (at >= 0 && at < text.length) {
    const next = parameterAt(text, at + 1);
    if (next === undefined) break;
    if (parameters.has(next.name)) {
      throw malformed(`a part has the parameter ${next.name} twice`);
    }
    parameters.set(next.name, next.value);
    at = next.end;
  }
  return parameters;
}

interface Parameter {
  readonly name: string;
  readonly value: string;
  /** Position of the semicolon behind it, or the end. */
  readonly end: number;
}

const NAME = /\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*/y;
const TOKEN = /[^\s;"]*/y;
const AFTER = /\s*(?=;|$)/y;

function parameterAt(text: string, from: number): Parameter | undefined {
  if (text.slice(from).trim() === "") return undefined;
  const name = matchAt(NAME, text, from);
  if (name === undefined) throw malformed("a parameter is malformed");
  const quoted = text[name.end] === '"';
  const value = quoted ? quotedAt(text, name.end + 1) : tokenAt(text, name.end);
  const after = matchAt(AFTER, text, value.end);
  if (after === undefined) throw malformed("a parameter is malformed");
  return { name: name.text.toLowerCase(), value: value.text, end: after.end };
}

function tokenAt(text: string, from: number): { text: string; end: number } {
  TOKEN.lastIndex = from;
  const [token = ""] = TOKEN.exec(text) ?? [];
  return { text: token, end: from + token.length };
}

/**
 * A quoted string. Browsers write `"` as `%22`; older clients as `\"`, and some
 * send Windows paths with plain backslashes, so only `\"` and `\\` are escapes.
 */
function quotedAt(text: string, from: number): { text: string; end: number } {
  let value = "";
  for (let at = from; at < text.length; at++) {
    const char = text[at];
    const next = text[at + 1];
    if (char === '"') {
      return { text: value.replaceAll(/%(22|0D|0A)/gi, unescape), end: at + 1 };
    }
    if (char === "\\" && (next === '"' || next === "\\")) {
      value += next;
      at++;
    } else {
      value += char;
    }
  }
  throw malformed("a quoted text has no end");
}

function unescape(code: string): string {
  return String.fromCharCode(parseInt(code.slice(1), 16));
}

function matchAt(
  pattern: RegExp,
  text: string,
  from: number,
): { text: string; end: number } | undefined {
  pattern.lastIndex = from;
  const match = pattern.exec(text);
  if (match === null) return undefined;
  return { text: match[1] ?? "", end: pattern.lastIndex };
}

/** `UTF-8''na%C3%AFve` (RFC 8187). */
function decodeExtended(text: string): string {
  const [match, charset = "", value = ""] = EXTENDED.exec(text) ?? [];
  if (match === undefined) throw malformed("filename* is malformed");
  const bytes: number[] = [];
  for (let at = 0; at < value.length; at++) {
    if (value[at] !== "%") {
      bytes.push(value.charCodeAt(at));
      continue;
    }
    bytes.push(parseInt(value.slice(at + 1, at + 3), 16));
    at += 2;
  }
  switch (charset.toLowerCase()) {
    case "utf-8":
      return decodeUtf8(Uint8Array.from(bytes));
    case "iso-8859-1":
      return String.fromCharCode(...bytes);
    default:
      throw malformed("filename* has an unknown character set");
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
      .decode(bytes);
  } catch {
    throw malformed("a header of a part is not UTF-8");
  }
}

function malformed(why: string): Problem {
  return new Problem("invalid-request", `The form cannot be read: ${why}`, {
    issues: [{ path: "body", message: why }],
  });
}
