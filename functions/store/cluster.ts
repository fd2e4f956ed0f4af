/**
 * The cluster record: generation and secret, made once.
 *
 * @module
 */

import { keys } from "@kedge/schema";
import type { KvStore } from "./kv.ts";
import { parseEntry } from "./parse.ts";
import { ClusterRecord } from "./records.ts";
import { newSecret } from "./secrets.ts";

/**
 * Read the cluster record, or make it. Of two trackers that start at once one
 * makes it and the other reads what was made; an unknown outcome is read again.
 *
 * @param kv The store.
 * @param nowMs Wall clock, in ms since the Unix epoch.
 * @returns The record that everybody shares.
 * @throws {Problem} `kv-unavailable`
 */
export async function openCluster(
  kv: KvStore,
  nowMs: number,
): Promise<ClusterRecord> {
  const key = keys.cluster();
  for (;;) {
    const entry = await kv.get(key);
    if (entry !== undefined) return parseEntry(entry, ClusterRecord).value;
    const value: ClusterRecord = {
      gen: crypto.randomUUID(),
      clusterSecret: newSecret(),
      createdMs: nowMs,
    };
    await kv.commit({
      checks: [{ key, version: null }],
      sets: [{ key, value }],
    });
  }
}
