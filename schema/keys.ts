/**
 * Every key in the shared KV store. No other module spells a key.
 *
 * | key                         | value           | written by            | guard           |
 * | --------------------------- | --------------- | --------------------- | --------------- |
 * | `["cluster"]`               | cluster record  | first tracker start   | create once     |
 * | `["signing-keys"]`          | `SigningKey[]`  | tracker, rotation     | versionstamp    |
 * | `["next-node"]`             | number          | join                  | versionstamp    |
 * | `["group", name]`           | `GroupRegister` | trackers, for agents  | versionstamp    |
 * | `["settings", name]`        | `GroupSettings` | operators             | last write wins |
 * | `["node", number]`          | `NodeRecord`    | join, operators       | versionstamp    |
 * | `["report", number]`        | `NodeReport`    | heartbeat             | last write wins |
 * | `["removed", number]`       | its group       | operators             | create once     |
 * | `["volume", resource, n]`   | `VolumeRegister` | trackers, for nodes  | versionstamp    |
 * | `["mirror-node", number]`   | mirror node     | join of a mirror host | versionstamp    |
 * | `["token", hash]`           | join token      | operators, join       | versionstamp    |
 * | `["api-key", hash]`         | API key         | operators             | last write wins |
 *
 * Keys sort by part, so `["group"]` lists every group by name.
 *
 * @module
 */

import type { GroupName, NodeId } from "./group.ts";

/** One part of a key. */
export type KvKeyPart = string | number;
/** A key of the shared KV store. */
export type KvKey = readonly KvKeyPart[];

/** Builders of keys and of list prefixes. */
export const keys = {
  /** Generation, cluster secret. */
  cluster: (): KvKey => ["cluster"],
  /** Keys that sign capabilities, newest first. */
  signingKeys: (): KvKey => ["signing-keys"],
  /** The number that the next node gets. */
  nextNode: (): KvKey => ["next-node"],
  /** The register of one group. */
  group: (name: GroupName): KvKey => ["group", name],
  /** Every register. */
  groups: (): KvKey => ["group"],
  /** What operators chose for one group. */
  settings: (name: GroupName): KvKey => ["settings", name],
  /** One node. */
  node: (id: NodeId): KvKey => ["node", id],
  /** Every node. */
  nodes: (): KvKey => ["node"],
  /** The last heartbeat of one node. */
  report: (id: NodeId): KvKey => ["report", id],
  /** Every last heartbeat. */
  reports: (): KvKey => ["report"],
  /** Group of a node that an operator removed: it may not come back. */
  removed: (id: NodeId): KvKey => ["removed", id],
  /** The register of one mirrored volume. */
  volume: (resource: string, volume: number): KvKey => [
    "volume",
    resource,
    volume,
  ],
  /** The register of every mirrored volume. */
  volumes: (): KvKey => ["volume"],
  /** A host that mirrors volumes and stores no files. */
  mirrorNode: (id: NodeId): KvKey => ["mirror-node", id],
  /** Every host that mirrors volumes. */
  mirrorNodes: (): KvKey => ["mirror-node"],
  /** A join token, by the SHA-256 of its text in hex. */
  token: (hash: string): KvKey => ["token", hash],
  /** Every join token. */
  tokens: (): KvKey => ["token"],
  /** An API key, by the SHA-256 of its text in hex. */
  apiKey: (hash: string): KvKey => ["api-key", hash],
  /** Every API key. */
  apiKeys: (): KvKey => ["api-key"],
} as const;
