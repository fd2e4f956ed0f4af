/**
 * Signed links: who has one may read one file for some time.
 *
 * ```text
 * ours     /ID?key=KEYID&expires=SECONDS&sig=SIGNATURE[&ip=ADDRESS][&download=NAME]
 *          SIGNATURE = base64url(HMAC-SHA-256(secret, lines of LINK_LINES))
 * FastDFS  /ID?token=MD5&ts=SECONDS
 *          MD5 = hex(md5(ID without its group + secret + SECONDS))
 * ```
 *
 * A link allows `GET` and `HEAD`, or `HEAD` alone (`&method=HEAD`). Everything
 * that it says is signed, so nothing can be added to it, not even another file
 * name. Keys have names, so that they rotate: the first one signs, all verify.
 *
 * The MD5 scheme is FastDFS's (fastdfs-protocol.md §7), for sites that make such
 * links already; weaker than ours, since a site chooses only the time. Two of its
 * weaknesses are not taken over: `ts=0` and a time in the future count for
 * nothing. Pure.
 *
 * @module
 */

import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { isIP } from "node:net";

/** A secret with its name. */
export interface LinkKey {
  /** Public name; {@linkcode FASTDFS_KEY} for FastDFS's scheme. */
  readonly id: string;
  readonly secret: string;
}

/** What a link says. */
export interface LinkClaims {
  /** File ID. */
  readonly file: string;
  /** What it allows; `GET` includes `HEAD`. */
  readonly method: "GET" | "HEAD";
  /** Seconds since the Unix epoch after which it counts no more. */
  readonly expiresS: number;
  /** The only address that may use it; "" is any. */
  readonly ip: string;
  /** Name under which a browser saves the file; "" is none. */
  readonly download: string;
}

/** Name of the keys for FastDFS's scheme. */
export const FASTDFS_KEY = "fastdfs";
/** Shortest secret of our own scheme, in characters. */
export const LINK_SECRET_LENGTH_MIN = 16;
/** How far a clock may be ahead of ours, in seconds. */
export const LINK_SKEW_S = 300;
/** Longest life of a link, in seconds: a year. */
export const LINK_LIFE_S_MAX = 366 * 86_400;

/** Why a link does not count; a word for programs. */
export type LinkFault =
  | "no-link"
  | "malformed"
  | "unknown-key"
  | "wrong-signature"
  | "wrong-method"
  | "wrong-address"
  | "not-yet"
  | "expired";

/** How a link is judged. */
export interface LinkView {
  /** File ID in the path, exactly as sent. */
  readonly file: string;
  readonly method: string;
  /** Query, undecoded. */
  readonly query: string;
  /** Address of the client; asked only for links that are bound to one. */
  readonly address: () => string;
  readonly nowS: number;
  /** Schemes that count here. */
  readonly schemes: { readonly signed: boolean; readonly fastdfs: boolean };
  readonly keys: readonly LinkKey[];
  /** Life of FastDFS's tokens, in seconds (`token_ttl`). */
  readonly ttlS: number;
}

/** Whether a link counts, and for how much longer, in seconds. */
export type LinkVerdict =
  | { readonly ok: true; readonly forS: number }
  | { readonly ok: false; readonly fault: LinkFault };

/** What is signed, one per line. The first says which kind of text this is. */
function linesOf(key: string, claims: LinkClaims): string {
  const { method, file, expiresS, ip, download } = claims;
  const lines = ["kedge-link-1", method, `/${file}`, expiresS, ip];
  // The name comes last and encoded: it may contain anything.
  return [...lines, key, encodeURIComponent(download)].join("\n");
}

/** The signature of a link of ours. */
export function linkSignature(key: LinkKey, claims: LinkClaims): string {
  return createHmac("sha256", key.secret).update(linesOf(key.id, claims))
    .digest("base64url");
}

/**
 * The query of a link of ours.
 *
 * @example
 * ```ts
 * import { linkQuery } from "@kedge/schema/download-links";
 * import assert from "node:assert/strict";
 *
 * const key = { id: "k1", secret: "0123456789abcdef" };
 * const query = linkQuery(key, {
 *   file: "group1/M00/00/00/wKgBAmsCk5WAWO4bABAAANfP0Lc314.bin",
 *   method: "GET",
 *   expiresS: 1795331645,
 *   ip: "",
 *   download: "",
 * });
 * assert.match(query, /^key=k1&expires=1795331645&sig=[\w-]{43}$/);
 * ```
 */
export function linkQuery(key: LinkKey, claims: LinkClaims): string {
  const { method, expiresS, ip, download } = claims;
  const pairs = [
    ["key", key.id],
    ["expires", String(expiresS)],
    ["sig", linkSignature(key, claims)],
    ...(ip === "" ? [] : [["ip", ip]]),
    ...(method === "GET" ? [] : [["method", method]]),
    ...(download === "" ? [] : [["download", download]]),
  ];
  return pairs.map(([name = "", value = ""]) =>
    `${name}=${encodeURIComponent(value)}`
  ).join("&");
}

/**
 * FastDFS's token of a file.
 *
 * @param file File ID; its group is not part of what is hashed.
 * @param tsS Seconds since the Unix epoch.
 *
 * @example The published vector
 * ```ts
 * import { fastdfsToken } from "@kedge/schema/download-links";
 * import assert from "node:assert/strict";
 *
 * const id = "group1/M00/03/4C/fwALAWsCk5WAWO4bABAAANfP0Lc314.bin";
 * assert.equal(
 *   fastdfsToken(id, "FastDFS1234567890", 1795331045),
 *   "dfd07e49f322830fb09cd2097db725cf",
 * );
 * ```
 */
export function fastdfsToken(
  file: string,
  secret: string,
  tsS: number,
): string {
  const path = file.slice(file.indexOf("/") + 1);
  return createHash("md5").update(`${path}${secret}${tsS}`).digest("hex");
}

/** Judge the link of a request. */
export function judgeLink(view: LinkView): LinkVerdict {
  const query = new URLSearchParams(view.query);
  // Twice the same name could mean one thing here and another elsewhere.
  const names = [...query.keys()];
  if (new Set(names).size < names.length) return fault("malformed");
  if (view.schemes.signed && query.has("sig")) return judgeSigned(view, query);
  if (view.schemes.fastdfs && query.has("token")) {
    return judgeFastdfs(view, query);
  }
  return fault("no-link");
}

function judgeSigned(view: LinkView, query: URLSearchParams): LinkVerdict {
  const expiresS = secondsOf(query.get("expires"));
  const method = query.get("method") ?? "GET";
  if (expiresS === undefined || !isMethod(method)) return fault("malformed");
  const id = query.get("key");
  const key = view.keys.find((known) =>
    known.id === id && known.id !== FASTDFS_KEY
  );
  if (key === undefined) return fault("unknown-key");
  const ip = query.get("ip") ?? "";
  const download = query.get("download") ?? query.get("filename") ?? "";
  const claims = { file: view.file, method, expiresS, ip, download };
  if (!isEqual(linkSignature(key, claims), query.get("sig") ?? "")) {
    return fault("wrong-signature");
  }
  if (view.nowS > expiresS) return fault("expired");
  if (expiresS - view.nowS > LINK_LIFE_S_MAX) return fault("not-yet");
  if (method === "HEAD" && view.method !== "HEAD") {
    return fault("wrong-method");
  }
  if (ip !== "" && plainAddress(ip) !== plainAddress(view.address())) {
    return fault("wrong-address");
  }
  return { ok: true, forS: expiresS - view.nowS };
}

function judgeFastdfs(view: LinkView, query: URLSearchParams): LinkVerdict {
  const tsS = secondsOf(query.get("ts"));
  const token = query.get("token") ?? "";
  if (tsS === undefined) return fault("malformed");
  const keys = view.keys.filter(({ id }) => id === FASTDFS_KEY);
  if (keys.length === 0) return fault("unknown-key");
  // All are compared, so that the time does not tell which one it was.
  const fits = keys.filter(({ secret }) =>
    isEqual(fastdfsToken(view.file, secret, tsS), token)
  );
  if (fits.length === 0) return fault("wrong-signature");
  if (tsS - view.nowS > LINK_SKEW_S) return fault("not-yet");
  const forS = tsS + view.ttlS - view.nowS;
  return forS < 0 ? fault("expired") : { ok: true, forS };
}

/** An address in its one spelling: `2001:DB8::0:1` is `2001:db8::1`. */
function plainAddress(text: string): string {
  const url = `http://[${text}]/`;
  return isIP(text) === 6 && URL.canParse(url) ? new URL(url).hostname : text;
}

function isMethod(text: string): text is "GET" | "HEAD" {
  return text === "GET" || text === "HEAD";
}

function secondsOf(text: string | null): number | undefined {
  return text !== null && /^\d{1,11}$/.test(text) ? Number(text) : undefined;
}

function fault(name: LinkFault): LinkVerdict {
  return { ok: false, fault: name };
}

/** In a time that does not depend on where they differ. */
function isEqual(wanted: string, given: string): boolean {
  const hash = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(wanted), hash(given));
}

/**
 * Read a file of keys: `NAME SECRET` on each line, `#` comments. The first of a
 * scheme signs.
 *
 * @returns The keys, or what is wrong with the text; never a secret.
 */
export function parseLinkKeys(
  text: string,
): { readonly keys: readonly LinkKey[] } | { readonly why: string } {
  const keys: LinkKey[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const words = line.trim().split(/\s+/);
    const [id = "", secret, ...more] = words;
    if (id === "" || id.startsWith("#")) continue;
    const at = `line ${index + 1}`;
    if (secret === undefined || more.length > 0) {
      return { why: `${at} must be NAME SECRET` };
    }
    if (!/^[A-Za-z0-9_-]{1,32}$/.test(id)) {
      return { why: `${at}: a name has up to 32 of A-Z a-z 0-9 _ -` };
    }
    if (id !== FASTDFS_KEY && secret.length < LINK_SECRET_LENGTH_MIN) {
      const wanted = `${LINK_SECRET_LENGTH_MIN} characters`;
      return { why: `${at}: the secret of "${id}" has less than ${wanted}` };
    }
    if (id !== FASTDFS_KEY && keys.some((key) => key.id === id)) {
      return { why: `${at}: the name "${id}" stands there twice` };
    }
    keys.push({ id, secret });
  }
  return keys.length === 0 ? { why: "there is no key in it" } : { keys };
}
