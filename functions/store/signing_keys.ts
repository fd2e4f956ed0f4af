/**
 * The keys that sign capabilities: newest first, rotated, old ones kept while a
 * capability of theirs may still be on its way.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import { keys, Problem, SigningKey } from "@kedge/schema";
import { z } from "zod";
import { keysInUse } from "../domain/signing.ts";
import type { KvEntry, KvStore } from "./kv.ts";
import { parseEntry, uncertain } from "./parse.ts";
import { newSecret } from "./secrets.ts";

/** What is stored. */
const StoredKeys = z.array(SigningKey);

/** Most keys at once: they travel in every heartbeat. */
const KEYS_MAX = 16;

/** Keys as stored, newest first; none when nothing is stored. */
export function parseSigningKeys(entry: KvEntry | undefined): SigningKey[] {
  return entry === undefined ? [] : parseEntry(entry, StoredKeys).value;
}

/**
 * Put a new key in front, drop those that have been replaced long enough.
 *
 * @param kv The store.
 * @param nowMs Wall clock, in ms since the Unix epoch.
 * @param isDue Asked with the stored keys, so that of several trackers that
 * find a key too old only one replaces it.
 * @returns The keys as stored now.
 * @throws {Problem} `kv-uncertain`, `kv-unavailable`, `too-many-requests`
 */
export async function rotateSigningKeys(
  kv: KvStore,
  nowMs: number,
  isDue: (stored: SigningKey[]) => boolean = () => true,
): Promise<SigningKey[]> {
  const key = keys.signingKeys();
  for (;;) {
    const entry = await kv.get(key);
    const stored = parseSigningKeys(entry);
    if (!isDue(stored)) return stored;
    const value = [newKey(nowMs), ...keysInUse(stored, nowMs)];
    if (value.length > KEYS_MAX) {
      throw new Problem(
        "too-many-requests",
        `${KEYS_MAX} replaced keys still verify; they end after 30 minutes`,
      );
    }
    const outcome = await kv.commit({
      checks: [{ key, version: entry?.version ?? null }],
      sets: [{ key, value }],
    });
    if (outcome === "committed") return value;
    if (outcome === "unknown") throw uncertain("the signing key was replaced");
  }
}

function newKey(nowMs: number): SigningKey {
  return {
    id: randomBytes(9).toString("base64url"),
    secret: newSecret(),
    createdMs: nowMs,
  };
}
