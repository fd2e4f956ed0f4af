/**
 * Join tokens and API keys as operators manage them: only hashes are kept.
 *
 * @module
 */

import {
  type CreatedToken,
  type CreateToken,
  keys,
  Problem,
  type TokenView,
} from "@kedge/schema";
import type { z } from "zod";
import type { Clock } from "../ports.ts";
import type { ApiKeys } from "./api_keys.ts";
import type { KvStore } from "./kv.ts";
import { parseEntry, uncertain } from "./parse.ts";
import { ApiKey, JoinToken } from "./records.ts";
import { hashOf, newSecret } from "./secrets.ts";

/** Join tokens and API keys in the KV. */
export class Tokens {
  readonly #kv: KvStore;
  readonly #apiKeys: ApiKeys;
  readonly #clock: Clock;

  /** Use a store that the caller opened and closes. */
  constructor(kv: KvStore, apiKeys: ApiKeys, clock: Clock) {
    this.#kv = kv;
    this.#apiKeys = apiKeys;
    this.#clock = clock;
  }

  /**
   * Make one. The secret is in the answer and nowhere else.
   *
   * @throws {Problem} `kv-unavailable`, `kv-uncertain`
   */
  async create(
    wanted: z.output<typeof CreateToken>,
  ): Promise<CreatedToken> {
    const nowMs = this.#clock.wallMs();
    const token = newSecret(wanted.kind === "join" ? "kj_" : "kk_");
    const hash = hashOf(token);
    const expiresMs = wanted.expiresS === undefined
      ? null
      : nowMs + wanted.expiresS * 1000;
    const outcome = await this.#kv.commit({
      sets: [
        wanted.kind === "join"
          ? {
            key: keys.token(hash),
            value: {
              group: wanted.group ?? null,
              createGroup: wanted.createGroup,
              createdMs: nowMs,
              expiresMs: expiresMs ?? nowMs,
              used: null,
            } satisfies JoinToken,
          }
          : {
            key: keys.apiKey(hash),
            value: {
              name: wanted.name,
              role: wanted.role,
              createdMs: nowMs,
              expiresMs,
            } satisfies ApiKey,
          },
      ],
    });
    if (outcome === "unknown") throw uncertain("the token was made");
    return { kind: wanted.kind, token, hash, expires: isoOf(expiresMs) };
  }

  /** All of them, without their secrets. */
  async list(): Promise<TokenView[]> {
    const [tokens, apiKeys] = await Promise.all([
      this.#kv.list(keys.tokens()),
      this.#kv.list(keys.apiKeys()),
    ]);
    return [
      ...tokens.map((entry) => {
        const value = parseEntry(entry, JoinToken).value;
        return viewOf("join", String(entry.key[1]), value);
      }),
      ...apiKeys.map((entry) => {
        const value = parseEntry(entry, ApiKey).value;
        return viewOf("api", String(entry.key[1]), value);
      }),
    ];
  }

  /**
   * End one, whichever kind it is.
   *
   * @throws {Problem} `not-found`, `kv-unavailable`, `kv-uncertain`
   */
  async delete(hash: string): Promise<void> {
    const found = await Promise.all(
      [keys.token(hash), keys.apiKey(hash)].map((key) => this.#kv.get(key)),
    );
    if (found.every((entry) => entry === undefined)) {
      throw new Problem("not-found", `There is no token or key ${hash}`);
    }
    const outcome = await this.#kv.commit({
      deletes: [keys.token(hash), keys.apiKey(hash)],
    });
    this.#apiKeys.drop(hash);
    if (outcome === "unknown") throw uncertain("the token was deleted");
  }
}

function viewOf(
  kind: TokenView["kind"],
  hash: string,
  value: Partial<Omit<JoinToken, "expiresMs">> & Partial<ApiKey>,
): TokenView {
  return {
    kind,
    hash,
    name: value.name ?? null,
    role: value.role ?? null,
    group: value.group ?? null,
    created: new Date(value.createdMs ?? 0).toISOString(),
    expires: isoOf(value.expiresMs ?? null),
    usedBy: value.used?.node ?? null,
  };
}

function isoOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
