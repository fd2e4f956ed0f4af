/**
 * API keys, looked up by the hash of what the caller sent.
 *
 * A key that was read is remembered for a moment, so that a busy application
 * does not cost a read each time; a deleted key ends within that moment.
 *
 * @module
 */

import { type ApiRole, keys } from "@kedge/schema";
import type { Clock } from "../ports.ts";
import type { KvStore } from "./kv.ts";
import { parseEntry } from "./parse.ts";
import { ApiKey } from "./records.ts";

/** How long a key that was read counts without another look, in ms. */
const AGE_MS_MAX = 250;

/** Most keys that are remembered; then all are forgotten. */
const REMEMBERED_MAX = 1000;

/** Answers which role a key has. */
export class ApiKeys {
  readonly #kv: KvStore;
  readonly #clock: Clock;
  readonly #known = new Map<string, { key: ApiKey; readMs: number }>();

  /** Use a store that the caller opened and closes. */
  constructor(kv: KvStore, clock: Clock) {
    this.#kv = kv;
    this.#clock = clock;
  }

  /**
   * The role of a key.
   *
   * @param hash SHA-256 of what the caller sent, in hex.
   * @returns Its role, or `undefined` when it is unknown or has ended.
   * @throws {Problem} `kv-unavailable` when it was never read and cannot be now.
   */
  async roleOf(hash: string): Promise<ApiRole | undefined> {
    const key = await this.#read(hash);
    if (key === undefined) return undefined;
    const hasEnded = key.expiresMs !== null &&
      key.expiresMs <= this.#clock.wallMs();
    return hasEnded ? undefined : key.role;
  }

  /** A key was made or deleted here. */
  drop(hash: string): void {
    this.#known.delete(hash);
  }

  async #read(hash: string): Promise<ApiKey | undefined> {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#known.get(hash);
    if (known !== undefined && nowMs - known.readMs <= AGE_MS_MAX) {
      return known.key;
    }
    try {
      const entry = await this.#kv.get(keys.apiKey(hash));
      if (entry === undefined) {
        this.#known.delete(hash);
        return undefined;
      }
      const key = parseEntry(entry, ApiKey).value;
      if (this.#known.size >= REMEMBERED_MAX) this.#known.clear();
      this.#known.set(hash, { key, readMs: nowMs });
      return key;
    } catch (error) {
      if (known !== undefined) return known.key; // KV away: uploads go on
      throw error;
    }
  }
}
