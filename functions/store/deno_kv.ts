/**
 * The KV port on Deno KV: a file, `:memory:`, a remote URL, or the platform's
 * own store.
 *
 * A file is meant for one process; a second one makes commits fail with
 * "database is locked", which is certain to have changed nothing and is tried
 * again. Any other failure of a commit has an unknown outcome.
 * Source: reference measurements of Deno 2.9 (two processes on one file).
 *
 * @module
 */

import { type KvKey, Problem } from "@kedge/schema";
import type { KvChange, KvEntry, KvOutcome, KvStore } from "./kv.ts";

/** Waits before the next attempt after "database is locked", in ms. */
const BACK_OFF_MS = [5, 10, 20, 40, 80, 160, 320] as const;

/** Entries per read. Source: denokv limits (1,000), less for large values. */
const LIST_BATCH = 200;

/**
 * Open a store.
 *
 * @param where File, `:memory:`, URL, or `undefined` for the platform's own.
 * @returns The store; the caller closes it.
 * @throws {Problem} `kv-unavailable` with the reason.
 */
export async function openDenoKv(where: string | undefined): Promise<KvStore> {
  try {
    return denoKvStore(await Deno.openKv(where));
  } catch (error) {
    throw new Problem(
      "kv-unavailable",
      `Cannot open the KV ${where ?? "of the platform"}: ${reason(error)}`,
    );
  }
}

/**
 * Wrap an open Deno KV.
 *
 * @param kv Closed by the returned store.
 * @returns The port.
 */
export function denoKvStore(kv: Deno.Kv): KvStore {
  return {
    get: (key) => read(() => getEntry(kv, key)),
    list: (prefix) => read(() => listEntries(kv, prefix)),
    commit: (change) => commit(kv, change),
    close: () => kv.close(),
  };
}

async function getEntry(
  kv: Deno.Kv,
  key: KvKey,
): Promise<KvEntry | undefined> {
  const { value, versionstamp } = await kv.get([...key]);
  if (versionstamp === null) return undefined;
  return { key, value, version: versionstamp };
}

async function listEntries(kv: Deno.Kv, prefix: KvKey): Promise<KvEntry[]> {
  const entries: KvEntry[] = [];
  const options = { batchSize: LIST_BATCH };
  for await (const entry of kv.list({ prefix: [...prefix] }, options)) {
    entries.push({
      key: entry.key as KvKey,
      value: entry.value,
      version: entry.versionstamp,
    });
  }
  return entries;
}

async function commit(kv: Deno.Kv, change: KvChange): Promise<KvOutcome> {
  for (let attempt = 0;; attempt++) {
    try {
      const result = await atomic(kv, change).commit();
      return result.ok ? "committed" : "conflict";
    } catch (error) {
      if (error instanceof TypeError && isTooLarge(error)) throw error;
      if (!isLocked(error)) return "unknown";
      await backOff(attempt, error);
    }
  }
}

function atomic(kv: Deno.Kv, change: KvChange): Deno.AtomicOperation {
  const operation = kv.atomic();
  for (const { key, version } of change.checks ?? []) {
    operation.check({ key: [...key], versionstamp: version });
  }
  for (const { key, value } of change.sets ?? []) {
    operation.set([...key], value);
  }
  for (const key of change.deletes ?? []) operation.delete([...key]);
  return operation;
}

async function read<Value>(attempt: () => Promise<Value>): Promise<Value> {
  for (let attempts = 0;; attempts++) {
    try {
      return await attempt();
    } catch (error) {
      if (!isLocked(error)) {
        throw new Problem("kv-unavailable", `KV read failed: ${reason(error)}`);
      }
      await backOff(attempts, error);
    }
  }
}

async function backOff(attempt: number, error: unknown): Promise<void> {
  const waitMs = BACK_OFF_MS[attempt];
  if (waitMs === undefined) {
    throw new Problem(
      "kv-unavailable",
      `Another process keeps the KV file locked: ${reason(error)}`,
    );
  }
  await new Promise((resolve) => setTimeout(resolve, waitMs));
}

function isLocked(error: unknown): boolean {
  return reason(error).includes("database is locked");
}

/** Our own mistake, found before anything is sent. */
function isTooLarge(error: TypeError): boolean {
  return /too large|too many|cannot be larger/i.test(error.message);
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
