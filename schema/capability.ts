/**
 * A capability: permission to do one thing to one group, signed by a tracker,
 * checked by an agent without asking anybody.
 *
 * ```text
 * base64url(JSON claims) "." base64url(HMAC-SHA-256(secret, first part))
 * ```
 *
 * The claims bind the action, group, node, store path, file, size limit, expiry
 * and optionally the content's hash; the key has a name so that keys rotate.
 * Agents compare signatures in constant time and check everything before they
 * read a byte of the body (promises: authenticate first).
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash, timingSafeEqual } from "node:crypto";
import type { Hash } from "node:crypto";
import { z } from "zod";
import { GroupName, Level, NodeId } from "./group.ts";
import { CAPABILITY_LIFE_MS_MAX, STORE_PATHS_MAX } from "./limits.ts";
import type { SigningKey } from "./node.ts";

/** What a capability allows. */
export const CapabilityAction = z.enum([
  "upload",
  "delete",
  "append",
  "modify",
  "truncate",
  "set-meta",
  "derive",
  "operate",
]);
/** What a capability allows. */
export type CapabilityAction = z.infer<typeof CapabilityAction>;

/** What a tracker signs. Names are short: they travel in URLs. */
export const CapabilityClaims = z.strictObject({
  /** Which key signed. */
  k: z.string().max(16),
  /** What may be done. */
  a: CapabilityAction,
  /** In which group. */
  g: GroupName,
  /** At which node; any member when missing. */
  n: NodeId.optional(),
  /** Into which store path. */
  p: z.int().min(0).max(STORE_PATHS_MAX - 1).optional(),
  /** To which file: a whole file ID. */
  f: z.string().max(160).optional(),
  /** Most bytes of the body. */
  s: z.int().min(0).optional(),
  /** Level that must be used. */
  l: Level.optional(),
  /** SHA-256 that the content must have, in hex. */
  h: z.string().regex(/^[0-9a-f]{64}$/).optional(),
  /** Expiry, in ms since the Unix epoch. */
  e: z.int().min(0),
});
/** What a tracker signs. */
export type CapabilityClaims = z.infer<typeof CapabilityClaims>;

/** Why a capability does not count. */
export type CapabilityFault =
  | "malformed"
  | "unknown-key"
  | "bad-signature"
  | "expired"
  | "lives-too-long";

/** Claims, or the one reason why there are none. */
export type VerifiedCapability =
  | { readonly ok: true; readonly claims: CapabilityClaims }
  | { readonly ok: false; readonly fault: CapabilityFault };

/** Longest text that is looked at, in characters. */
const TEXT_LENGTH_MAX = 1200;

/**
 * Sign claims.
 *
 * @param claims What to allow; `k` is set from the key.
 * @param key The newest signing key.
 * @returns The capability as text, safe in a URL.
 */
export function signCapability(
  claims: Omit<CapabilityClaims, "k">,
  key: SigningKey,
): string {
  const body = Buffer.from(JSON.stringify({ ...claims, k: key.id }))
    .toString("base64url");
  return `${body}.${mac(body, key).toString("base64url")}`;
}

/**
 * Check a capability that a client sent.
 *
 * @param text The capability.
 * @param keys Keys that count now.
 * @param nowMs Wall clock, in ms since the Unix epoch.
 * @returns Its claims, or why it does not count.
 */
export function verifyCapability(
  text: string,
  keys: readonly SigningKey[],
  nowMs: number,
): VerifiedCapability {
  if (text.length > TEXT_LENGTH_MAX) return refuse("malformed");
  const signed = checkSignature(text, keys);
  if (!signed.ok) return signed;
  const { claims } = signed;
  if (claims.e <= nowMs) return refuse("expired");
  // Twice the longest life: the tracker's clock may differ from ours.
  if (claims.e > nowMs + 2 * CAPABILITY_LIFE_MS_MAX) {
    return refuse("lives-too-long");
  }
  return signed;
}

/** Capabilities remembered per key as rightly signed. */
const SIGNED_COUNT_MAX = 256;
const signedLately = new WeakMap<SigningKey, Map<string, VerifiedCapability>>();

/**
 * Everything but the time. A client that uploads many files with one capability
 * has it computed once: it is found by the hash of its whole text, so that what
 * is compared is nothing that a guess could approach step by step.
 */
function checkSignature(
  text: string,
  keys: readonly SigningKey[],
): VerifiedCapability {
  const print = createHash("sha256").update(text).digest("base64");
  for (const key of keys) {
    const known = signedLately.get(key)?.get(print);
    if (known !== undefined) return known;
  }
  const [body, signature, ...more] = text.split(".");
  if (!body || !signature || more.length > 0) return refuse("malformed");
  const claims = parseClaims(body);
  if (claims === undefined) return refuse("malformed");
  const key = keys.find((known) => known.id === claims.k);
  if (key === undefined) return refuse("unknown-key");
  const given = Buffer.from(signature, "base64url");
  const wanted = mac(body, key);
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
    return refuse("bad-signature");
  }
  const verified: VerifiedCapability = { ok: true, claims };
  const signed = signedLately.get(key) ?? new Map();
  if (signed.size >= SIGNED_COUNT_MAX) signed.clear();
  signedLately.set(key, signed.set(print, verified));
  return verified;
}

/** HMAC-SHA-256 of one key after its padded key blocks (RFC 2104). */
interface MacState {
  readonly inner: Hash;
  readonly outer: Hash;
}

const MAC_BLOCK_BYTES = 64;
const macStates = new WeakMap<SigningKey, MacState>();

/**
 * HMAC by copies of the hash states after the key: every upload is checked, and
 * a copy costs a fifth of starting anew (5 instead of 15 to 35 µs).
 */
function mac(body: string, key: SigningKey): Buffer {
  let state = macStates.get(key);
  if (state === undefined) {
    state = macState(Buffer.from(key.secret, "base64url"));
    macStates.set(key, state);
  }
  const inner = state.inner.copy().update(body).digest();
  return state.outer.copy().update(inner).digest();
}

function macState(secret: Buffer): MacState {
  const isLong = secret.length > MAC_BLOCK_BYTES;
  const block = Buffer.alloc(MAC_BLOCK_BYTES);
  block.set(isLong ? createHash("sha256").update(secret).digest() : secret);
  const pad = (byte: number) =>
    createHash("sha256").update(block.map((value) => value ^ byte));
  return { inner: pad(0x36), outer: pad(0x5c) };
}

function parseClaims(body: string): CapabilityClaims | undefined {
  try {
    const json = JSON.parse(Buffer.from(body, "base64url").toString("utf8"));
    return CapabilityClaims.safeParse(json).data;
  } catch {
    return undefined;
  }
}

function refuse(fault: CapabilityFault): VerifiedCapability {
  return { ok: false, fault };
}
