/**
 * Which signing keys count, and which one signs. Pure.
 *
 * @module
 */

import type { SigningKey } from "@kedge/schema";

/** How long a replaced key still verifies: twice the longest capability life. */
export const OLD_KEY_LIFE_MS: number = 30 * 60 * 1000;

/**
 * Keys that still verify: the newest, and those replaced not long ago.
 *
 * @param stored All keys, newest first.
 * @param nowMs Wall clock, in ms since the Unix epoch.
 * @returns Those that count, newest first.
 */
export function keysInUse(
  stored: readonly SigningKey[],
  nowMs: number,
): SigningKey[] {
  return stored.filter((_, index) => {
    const successor = stored[index - 1];
    return successor === undefined ||
      nowMs - successor.createdMs < OLD_KEY_LIFE_MS;
  });
}

/**
 * The key to sign with: the newest that every agent has heard of. A key that
 * was made a moment ago reaches an agent only with its next heartbeat, so it
 * must be older than `spreadMs`; when none is, the oldest is the best known.
 *
 * @param stored All keys, newest first.
 * @param nowMs Wall clock, in ms since the Unix epoch.
 * @param spreadMs Time in which every live agent reports, in ms.
 * @returns The key, or `undefined` when there is none at all.
 */
export function signingKeyFor(
  stored: readonly SigningKey[],
  nowMs: number,
  spreadMs: number,
): SigningKey | undefined {
  const inUse = keysInUse(stored, nowMs);
  return inUse.find((key) => nowMs - key.createdMs >= spreadMs) ?? inUse.at(-1);
}
