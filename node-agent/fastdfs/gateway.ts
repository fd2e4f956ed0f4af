/**
 * FastDFS's protocol at an agent: a tracker side and a storage side.
 *
 * The protocol knows no keys. So the gateway is off unless it is asked for, lets
 * only this machine in unless `fastdfs_allow_hosts` names others, and can be
 * read-only. What it does, it does by the operations of the HTTP door.
 *
 * @module
 */

import { allowedHosts } from "@kedge/schema/config/allow-hosts";
import type { FastdfsConfig } from "@kedge/schema/config/fastdfs";
import type { FastdfsStats } from "@kedge/schema/fastdfs-stats";
import { type HostPort, isLoopback } from "@kedge/schema/config/units";
import type { FastdfsCluster, FileOperations } from "../operation_ports.ts";
import type { ClientBodies } from "../client_bodies.ts";
import type { Clock, Log } from "../ports.ts";
import { ClusterSight } from "./cluster_sight.ts";
import { StorageSide } from "./storage_side.ts";
import { TrackerSide } from "./tracker_side.ts";
import { accessLine } from "./access_line.ts";
import type { Served } from "./served.ts";
import { type ChangeMarks, StorageCounters } from "./storage_counters.ts";
import type { WirePatience } from "./wire_connection.ts";
import { WireDoor } from "./wire_door.ts";

/**
 * How patient the gateway is. Idle: FastDFS's `connection_pool_max_idle_time`.
 * The rate is that of bodies over HTTP.
 */
const PATIENCE: WirePatience = {
  idleMs: 3_600_000,
  windowMs: 15_000,
  bytesPerSecondMin: 1024,
};

/** What a gateway needs. */
export interface GatewayDeps {
  readonly group: string;
  readonly operations: FileOperations;
  readonly cluster: FastdfsCluster;
  readonly clock: Clock;
  readonly log: Log;
  readonly version: string;
  /** Memory for what clients upload. */
  readonly bodies: ClientBodies;
  /** Store paths here. */
  readonly pathCount: () => number;
  readonly subdirCount: number;
  /** Changes that are stored here. */
  readonly changes: () => ChangeMarks;
  /** Takes lines of the access log; missing is none. */
  readonly accessLog?: ((line: string) => void) | undefined;
  /** Other patience, for tests. */
  readonly patience?: Partial<WirePatience> | undefined;
}

/** See the module comment. */
export class FastdfsGateway {
  readonly #config: FastdfsConfig;
  readonly #counters: StorageCounters;
  readonly #storage: WireDoor;
  readonly #tracker: WireDoor;

  /**
   * Open both sides.
   *
   * @throws {Error} When an address cannot be listened on.
   */
  constructor(config: FastdfsConfig, deps: GatewayDeps) {
    this.#config = config;
    const { clock, log } = deps;
    const cluster = new ClusterSight(deps);
    const counters = new StorageCounters(clock, deps.changes);
    this.#counters = counters;
    const storage = new StorageSide({
      ...deps,
      cluster,
      isReadOnly: config.isReadOnly,
    });
    const sinceMs = clock.monotonicMs();
    const tracker = new TrackerSide(cluster, {
      host: () => textOf(this.#tracker.address),
      version: deps.version,
      upS: () => (clock.monotonicMs() - sinceMs) / 1000,
      nowS: () => clock.wallMs() / 1000,
      subdirCount: deps.subdirCount,
      lists: config.lists,
    });
    const door = {
      hosts: allowedHosts(config.allowHosts),
      connectionsMax: config.connectionsMax,
      patience: { ...PATIENCE, ...deps.patience },
      clock,
      log,
    };
    this.#storage = new WireDoor({
      ...door,
      listen: config.listen,
      handle: (request) => storage.answer(request),
      observe: observer(counters, deps),
      sweep: () => deps.bodies.sweep(),
    });
    this.#tracker = this.#openTracker({
      ...door,
      listen: config.trackerListen,
      handle: (request) => tracker.answer(request),
    });
    this.#warn(log);
  }

  /** Where clients are sent to. */
  get address(): HostPort {
    return this.#config.advertise ?? this.#storage.address;
  }

  /** Where the tracker side listens. */
  get trackerAddress(): HostPort {
    return this.#tracker.address;
  }

  /** Connections of clients now, of both sides. */
  get connections(): number {
    return this.#tracker.count + this.#storage.count;
  }

  /** What the storage side counted since it was opened. */
  stats(): FastdfsStats {
    const { count: current, most } = this.#storage;
    return this.#counters.stats({ current, most });
  }

  /** End every connection. */
  async close(): Promise<void> {
    await Promise.all([this.#tracker.close(), this.#storage.close()]);
  }

  #openTracker(options: ConstructorParameters<typeof WireDoor>[0]): WireDoor {
    try {
      return new WireDoor(options);
    } catch (error) {
      void this.#storage.close();
      throw error;
    }
  }

  #warn(log: Log): void {
    const { allowHosts } = this.#config;
    const facts = {
      storage: textOf(this.#storage.address),
      tracker: textOf(this.#tracker.address),
    };
    const isLocal = isLoopback(this.#storage.address.hostname) &&
      isLoopback(this.#tracker.address.hostname);
    if (isLocal) log.info("FastDFS's protocol is spoken", facts);
    else {
      log.warn(
        "FastDFS's protocol is spoken without keys: whoever fastdfs_allow_hosts names may read, upload and delete",
        { ...facts, allowHosts: allowHosts.join(" ") },
      );
    }
  }
}

/** Counts every request of the storage side, and writes it down if wanted. */
function observer(
  counters: StorageCounters,
  { accessLog, clock }: Pick<GatewayDeps, "accessLog" | "clock">,
): (served: Served) => void {
  return (served) => {
    counters.count(served);
    if (accessLog === undefined) return;
    const line = accessLine(served, clock.wallMs());
    if (line !== undefined) accessLog(line);
  };
}

function textOf({ hostname, port }: HostPort): string {
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}
