/**
 * What the routes work with: the store, the settings, time and chance.
 *
 * @module
 */

import {
  type CapabilityClaims,
  signCapability,
} from "@kedge/schema/capability";
import type { TrackerConfig } from "@kedge/schema/config/tracker";
import { Problem } from "@kedge/schema";
import type { Draw } from "./domain/draw.ts";
import { signingKeyFor } from "./domain/signing.ts";
import type { Clock, LogLine } from "./ports.ts";
import type { ApiKeys } from "./store/api_keys.ts";
import type { ClusterCache, ClusterView } from "./store/cluster_cache.ts";
import type { KvStore } from "./store/kv.ts";
import type { MirrorNodes } from "./store/mirror_nodes.ts";
import type { Nodes } from "./store/nodes.ts";
import type { ClusterRecord } from "./store/records.ts";
import type { Registers } from "./store/registers.ts";
import type { Tokens } from "./store/tokens.ts";
import type { Volumes } from "./store/volumes.ts";

/** Everything that a route may use. */
export interface Services {
  /** Settings. */
  readonly config: TrackerConfig;
  /** Shared store. */
  readonly kv: KvStore;
  /** Time. */
  readonly clock: Clock;
  /** Chance, for round robin only. */
  readonly draw: Draw;
  /** Log. */
  readonly log: LogLine;
  /** Generation and secret. */
  readonly cluster: ClusterRecord;
  /** The cluster, at most a quarter of a second old. */
  readonly cache: ClusterCache;
  /** Group registers. */
  readonly registers: Registers;
  /** Nodes and their reports. */
  readonly nodes: Nodes;
  /** Registers of mirrored volumes. */
  readonly volumes: Volumes;
  /** Hosts that mirror volumes. */
  readonly mirrorNodes: MirrorNodes;
  /** API keys as callers use them. */
  readonly apiKeys: ApiKeys;
  /** Join tokens and API keys as operators manage them. */
  readonly tokens: Tokens;
}

/** How long a new signing key waits until every live agent knows it, in ms. */
export function keySpreadMs(config: TrackerConfig): number {
  return config.checkActiveIntervalMs + 2 * config.heartbeatMs;
}

/** A signed permission and its end. */
export interface IssuedCapability {
  /** The text. */
  readonly text: string;
  /** When it ends, in ms since the Unix epoch. */
  readonly expiresMs: number;
}

/**
 * Sign a capability.
 *
 * @param claims What it allows; the expiry is added.
 * @throws {Problem} `unavailable` when there is no key to sign with.
 */
export function issueCapability(
  { clock, config }: Services,
  view: ClusterView,
  claims: Omit<CapabilityClaims, "k" | "e">,
): IssuedCapability {
  const nowMs = clock.wallMs();
  const key = signingKeyFor(view.signingKeys, nowMs, keySpreadMs(config));
  if (key === undefined) {
    throw new Problem("unavailable", "There is no key to sign with yet");
  }
  const expiresMs = nowMs + config.capabilityLifeMs;
  return { text: signCapability({ ...claims, e: expiresMs }, key), expiresMs };
}
