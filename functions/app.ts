/**
 * The tracker as a function from request to response.
 *
 * @module
 */

import type { TrackerConfig } from "@kedge/schema/config/tracker";
import type { Draw } from "./domain/draw.ts";
import type { Identities } from "./http/authenticate.ts";
import { requestLog } from "./http/request_log.ts";
import type { Route } from "./http/route.ts";
import { createRouter, type Fetch } from "./http/router.ts";
import { type Clock, type LogLine, systemClock } from "./ports.ts";
import { aboutRoutes } from "./routes/about.ts";
import { fastdfsRoutes } from "./routes/fastdfs.ts";
import { fileRoutes } from "./routes/files.ts";
import { groupRoutes } from "./routes/groups.ts";
import { nodeRoutes } from "./routes/nodes.ts";
import { tokenRoutes } from "./routes/tokens.ts";
import { uploadRoutes } from "./routes/uploads.ts";
import { volumeRoutes } from "./routes/volumes.ts";
import type { Services } from "./services.ts";
import { ApiKeys } from "./store/api_keys.ts";
import { openCluster } from "./store/cluster.ts";
import { ClusterCache } from "./store/cluster_cache.ts";
import type { KvStore } from "./store/kv.ts";
import { MirrorNodes } from "./store/mirror_nodes.ts";
import { Nodes } from "./store/nodes.ts";
import { Registers } from "./store/registers.ts";
import { hashOf, isSameHash } from "./store/secrets.ts";
import { rotateSigningKeys } from "./store/signing_keys.ts";
import { Tokens } from "./store/tokens.ts";
import { Volumes } from "./store/volumes.ts";

/** Everything that the tracker needs from outside. */
export interface TrackerDeps {
  /** Shared store; the caller opened it and closes it. */
  readonly kv: KvStore;
  /** Settings. */
  readonly config: TrackerConfig;
  /** Admin key, when it came from a file. */
  readonly adminKey?: string | undefined;
  /** Time; the system's when missing. */
  readonly clock?: Clock;
  /** Random numbers for round robin; the system's when missing. */
  readonly draw?: Draw;
  /** Log; nowhere when missing. */
  readonly log?: LogLine;
}

/** A tracker. */
export interface Tracker {
  /** Answer one request. */
  readonly fetch: Fetch;
  /** The table that it answers from. */
  readonly routes: readonly Route[];
}

/**
 * Put a tracker together. The first one on a store makes the cluster record
 * and the first signing key.
 *
 * @param deps Real in `main.ts`, in memory in tests.
 * @throws {Problem} `kv-unavailable`
 */
export async function createTracker(deps: TrackerDeps): Promise<Tracker> {
  const services = await servicesOf(deps);
  const routes = [
    ...uploadRoutes(services),
    ...fileRoutes(services),
    ...groupRoutes(services),
    ...nodeRoutes(services),
    ...fastdfsRoutes(services),
    ...tokenRoutes(services),
    ...volumeRoutes(services),
  ];
  routes.push(...aboutRoutes(routes));
  const { onRefusal, logged } = requestLog(services);
  const fetch = createRouter(routes, {
    identities: identitiesOf(services, deps),
    onRefusal,
  });
  return { fetch: logged(fetch), routes };
}

async function servicesOf(deps: TrackerDeps): Promise<Services> {
  const { kv, config, clock = systemClock } = deps;
  const cluster = await openCluster(kv, clock.wallMs());
  await rotateSigningKeys(kv, clock.wallMs(), (known) => known.length === 0);
  const cache = new ClusterCache(kv, config, clock);
  const apiKeys = new ApiKeys(kv, clock);
  return {
    config,
    kv,
    clock,
    draw: deps.draw ?? Math.random,
    log: deps.log ?? (() => {}),
    cluster,
    cache,
    registers: new Registers(kv),
    nodes: new Nodes(kv, cache, clock),
    volumes: new Volumes(kv, cluster.gen),
    mirrorNodes: new MirrorNodes(kv, clock),
    apiKeys,
    tokens: new Tokens(kv, apiKeys, clock),
  };
}

function identitiesOf(services: Services, deps: TrackerDeps): Identities {
  const adminKey = deps.adminKey ?? deps.config.adminKey;
  const adminHash = adminKey === undefined ? undefined : hashOf(adminKey);
  return {
    isOpen: deps.config.access === "open",
    isNode: (node, credential) => services.nodes.isNode(node, credential),
    isMirrorNode: (node, credential) =>
      services.mirrorNodes.isNode(node, credential),
    roleOf: async (secret) => {
      const hash = hashOf(secret);
      return adminHash !== undefined && isSameHash(hash, adminHash)
        ? "operator"
        : await services.apiKeys.roleOf(hash);
    },
  };
}
