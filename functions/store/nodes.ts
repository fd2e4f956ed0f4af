/**
 * Nodes and what they report.
 *
 * @module
 */

import {
  GroupSettings,
  type Heartbeat,
  keys,
  type NodeId,
  NodeRecord,
  NodeReport,
  Problem,
} from "@kedge/schema";
import { judgeRun } from "../domain/set_back.ts";
import type { Clock } from "../ports.ts";
import type { ClusterCache } from "./cluster_cache.ts";
import type { KvStore } from "./kv.ts";
import { parseEntry, type Stored, uncertain } from "./parse.ts";
import { isSecret } from "./secrets.ts";

const DEFAULT_SETTINGS = GroupSettings.parse({});

/** Attempts of a change before it gives up. */
const ATTEMPTS_MAX = 10;

/** Nodes in the KV. */
export class Nodes {
  readonly #kv: KvStore;
  readonly #cache: ClusterCache;
  readonly #clock: Clock;

  /** Use a store that the caller opened and closes. */
  constructor(kv: KvStore, cache: ClusterCache, clock: Clock) {
    this.#kv = kv;
    this.#cache = cache;
    this.#clock = clock;
  }

  /**
   * Read a node as it is now.
   *
   * @throws {Problem} `node-not-found`, `kv-unavailable`
   */
  async get(node: NodeId): Promise<Stored<NodeRecord>> {
    const entry = await this.#kv.get(keys.node(node));
    if (entry !== undefined) return parseEntry(entry, NodeRecord);
    throw new Problem("node-not-found", `There is no node ${node}`, { node });
  }

  /**
   * Whether this is the credential of this node. What was read a moment ago is
   * asked first; a "no" comes only from a fresh read, since the node may have
   * joined just now.
   */
  async isNode(node: NodeId, credential: string): Promise<boolean> {
    const view = await this.#cache.current();
    const known = view.nodes.get(node);
    if (known !== undefined && isSecret(credential, known.credentialHash)) {
      return true;
    }
    const entry = await this.#kv.get(keys.node(node));
    return entry !== undefined &&
      isSecret(credential, parseEntry(entry, NodeRecord).value.credentialHash);
  }

  /**
   * Keep a report. Also kept in memory, so that it counts for placement while
   * the KV is away. The first report proves that the node has its credential:
   * the token that it joined with is forgotten in the same commit.
   *
   * @returns The node as it is now, and whether its database was set back.
   * @throws {Problem} `node-not-found`, `kv-unavailable`, `kv-uncertain`
   */
  async report(
    node: NodeId,
    heartbeat: Heartbeat,
  ): Promise<{ readonly record: NodeRecord; readonly isSetBack: boolean }> {
    this.#cache.hear(node, heartbeat);
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const [{ value: { joinToken, ...record }, version }, stored] =
        await Promise.all([this.get(node), this.#kv.get(keys.report(node))]);
      const known = stored && parseEntry(stored, NodeReport).value;
      const verdict = judgeRun(known, heartbeat);
      if (verdict === "late") return { record, isSetBack: true };
      const isSetBack = verdict === "set-back";
      const value: NodeReport = {
        heardMs: this.#clock.wallMs(),
        heartbeat,
        ...(isSetBack ? { isSetBack } : {}),
      };
      const key = keys.node(node);
      const report = keys.report(node);
      const outcome = await this.#kv.commit({
        checks: [
          { key: report, version: stored?.version ?? null },
          ...(joinToken === undefined ? [] : [{ key, version }]),
        ],
        sets: [
          { key: report, value },
          ...(joinToken === undefined ? [] : [{ key, value: record }]),
        ],
        deletes: joinToken === undefined ? [] : [keys.token(joinToken)],
      });
      if (outcome === "committed") return { record, isSetBack };
      if (outcome === "unknown") throw uncertain("the report was kept");
    }
    throw new Problem("kv-unavailable", `Node ${node} reports too fast`);
  }

  /**
   * Change what operators want of a node.
   *
   * @throws {Problem} `node-not-found`, `kv-unavailable`, `kv-uncertain`
   */
  async setMode(node: NodeId, mode: NodeRecord["mode"]): Promise<void> {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const { value, version } = await this.get(node);
      const key = keys.node(node);
      const outcome = await this.#kv.commit({
        checks: [{ key, version }],
        sets: [{ key, value: { ...value, mode } }],
      });
      if (outcome === "committed") return this.#cache.drop();
      if (outcome === "unknown") throw uncertain(`node ${node} was changed`);
    }
    throw new Problem("kv-unavailable", `Node ${node} is changing too fast`);
  }

  /** Settings of a group as they are now; the defaults when none are stored. */
  async settingsOf(group: string): Promise<GroupSettings> {
    return (await this.#settings(group)).value;
  }

  /**
   * Change settings of a group; others may change other ones at the same time.
   *
   * @throws {Problem} `kv-uncertain`, `kv-unavailable`
   */
  async changeSettings(
    group: string,
    change: (known: GroupSettings) => GroupSettings,
  ): Promise<GroupSettings> {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const { value: known, version } = await this.#settings(group);
      const value = change(known);
      const key = keys.settings(group);
      const outcome = await this.#kv.commit({
        checks: [{ key, version }],
        sets: [{ key, value }],
      });
      this.#cache.drop();
      if (outcome === "committed") return value;
      if (outcome === "unknown") throw uncertain("the settings were changed");
    }
    throw new Problem(
      "kv-unavailable",
      `The settings of group "${group}" are changing too fast`,
    );
  }

  async #settings(group: string) {
    const entry = await this.#kv.get(keys.settings(group));
    if (entry === undefined) return { value: DEFAULT_SETTINGS, version: null };
    return parseEntry(entry, GroupSettings);
  }
}
