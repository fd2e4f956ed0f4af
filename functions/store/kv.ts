/**
 * The shared KV store as the tracker needs it: a few calls that Deno KV and
 * etcd can both keep. `kv_contract.ts` says what an adapter must do.
 *
 * @module
 */

import type { KvKey } from "@kedge/schema";

/** A value with the version that a check compares. */
export interface KvEntry {
  /** Where it is. */
  readonly key: KvKey;
  /** What it is: JSON. Parse it, another version of the code may have written it. */
  readonly value: unknown;
  /** Changes with every write; opaque. */
  readonly version: string;
}

/** "Only if this key still has this version." */
export interface KvCheck {
  /** Which key. */
  readonly key: KvKey;
  /** Version that was read; `null` is "there is none". */
  readonly version: string | null;
}

/** Changes that are made together or not at all. */
export interface KvChange {
  /** All must hold. At most 10. Source: denokv limits. */
  readonly checks?: readonly KvCheck[];
  /** Values to write. */
  readonly sets?: readonly { readonly key: KvKey; readonly value: unknown }[];
  /** Keys to delete. */
  readonly deletes?: readonly KvKey[];
}

/**
 * How a commit ended. `unknown` is neither yes nor no: the change may have been
 * made, or may still be made. Read again; never assume.
 */
export type KvOutcome = "committed" | "conflict" | "unknown";

/** A store with compare-and-set. Reads see every commit that was answered. */
export interface KvStore {
  /**
   * Read one key.
   *
   * @throws {Problem} `kv-unavailable`
   */
  get(key: KvKey): Promise<KvEntry | undefined>;
  /**
   * Read everything below a prefix, in key order; numbers sort as numbers.
   *
   * @throws {Problem} `kv-unavailable`
   */
  list(prefix: KvKey): Promise<KvEntry[]>;
  /**
   * Change several keys, if all checks hold.
   *
   * @throws {Problem} `kv-unavailable` when it is certain that nothing changed.
   */
  commit(change: KvChange): Promise<KvOutcome>;
  /** Let go of it. */
  close(): void;
}
