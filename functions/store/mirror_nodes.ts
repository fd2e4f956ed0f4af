/**
 * Hosts that mirror volumes: their numbers and credentials.
 *
 * They take numbers from the same row as nodes of the file store, so that a
 * number in a register is one host, but they are no members of any group.
 *
 * @module
 */

import { keys, NODE_ID_MAX, type NodeId, Problem } from "@kedge/schema";
import type {
  JoinMirrorBody,
  JoinMirrorReply,
  MirrorView,
} from "@kedge/schema/volume";
import { z } from "zod";
import type { Clock } from "../ports.ts";
import type { KvStore } from "./kv.ts";
import { parseEntry, uncertain } from "./parse.ts";
import { JoinToken, MirrorNodeRecord } from "./records.ts";
import { hashOf, isSecret, newSecret } from "./secrets.ts";

/** Attempts before a join gives up; hosts seldom join at the same moment. */
const ATTEMPTS_MAX = 20;

/** See the module comment. */
export class MirrorNodes {
  readonly #kv: KvStore;
  readonly #clock: Clock;

  /** Use a store that the caller opened and closes. */
  constructor(kv: KvStore, clock: Clock) {
    this.#kv = kv;
    this.#clock = clock;
  }

  /** Whether this is the credential of this host. */
  async isNode(node: NodeId, credential: string): Promise<boolean> {
    const entry = await this.#kv.get(keys.mirrorNode(node));
    if (entry === undefined) return false;
    const { credentialHash } = parseEntry(entry, MirrorNodeRecord).value;
    return isSecret(credential, credentialHash);
  }

  /** All of them, by number. */
  async list(): Promise<MirrorView[]> {
    const entries = await this.#kv.list(keys.mirrorNodes());
    return entries.map((entry) => {
      const { node, name, joinedMs } =
        parseEntry(entry, MirrorNodeRecord).value;
      return { node, name, joined: new Date(joinedMs).toISOString() };
    });
  }

  /**
   * End a host's credential. Registers keep naming its copies: whoever is
   * Primary shrinks them out, or an operator forces another copy.
   *
   * @throws {Problem} `node-not-found`, `kv-unavailable`, `kv-uncertain`
   */
  async remove(node: NodeId): Promise<void> {
    const key = keys.mirrorNode(node);
    if (await this.#kv.get(key) === undefined) {
      throw new Problem("node-not-found", `No mirroring host is node ${node}`);
    }
    const outcome = await this.#kv.commit({ deletes: [key] });
    if (outcome === "unknown") throw uncertain("the host was removed");
  }

  /**
   * Give a host its number. The token is used up in the same commit; the same
   * host may ask again with it, because the answer may have been lost.
   *
   * @throws {Problem} `bad-token`, `kv-unavailable`, `kv-uncertain`
   */
  async join(body: JoinMirrorBody): Promise<JoinMirrorReply> {
    const credential = newSecret();
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const plan = await this.#plan(body, hashOf(credential));
      const outcome = await this.#kv.commit(plan.change);
      if (outcome === "committed") return { node: plan.node, credential };
      if (outcome === "unknown") {
        throw uncertain("the host was added; try again with the same token");
      }
    }
    throw new Problem("kv-unavailable", "Too many nodes join at this moment");
  }

  async #plan(body: JoinMirrorBody, credentialHash: string) {
    const tokenKey = keys.token(hashOf(body.token));
    const entry = await this.#kv.get(tokenKey);
    const token = entry && parseEntry(entry, JoinToken).value;
    const nowMs = this.#clock.wallMs();
    if (
      entry === undefined || token === undefined || token.expiresMs <= nowMs
    ) throw new Problem("bad-token", "The token is not known, or it has ended");
    const { next, version } = await this.#next();
    const node = token.used?.node ?? next;
    const stored = await this.#kv.get(keys.mirrorNode(node));
    const isUsed = token.used !== null &&
      (token.used.store !== body.host || stored === undefined);
    if (isUsed) throw new Problem("bad-token", "The token has been used");
    const record: MirrorNodeRecord = {
      node,
      name: body.name,
      credentialHash,
      joinedMs: nowMs,
    };
    const used = { node, store: body.host };
    return {
      node,
      change: {
        checks: [
          { key: tokenKey, version: entry.version },
          { key: keys.nextNode(), version },
          { key: keys.mirrorNode(node), version: stored?.version ?? null },
        ],
        sets: [
          { key: tokenKey, value: { ...token, used } },
          { key: keys.nextNode(), value: Math.max(next, node + 1) },
          { key: keys.mirrorNode(node), value: record },
        ],
      },
    };
  }

  async #next(): Promise<{ next: NodeId; version: string | null }> {
    const entry = await this.#kv.get(keys.nextNode());
    if (entry === undefined) return { next: 1, version: null };
    const { value, version } = parseEntry(entry, z.int().min(1));
    if (value <= NODE_ID_MAX) return { next: value, version };
    throw new Problem("already-exists", "All node numbers have been used");
  }
}
