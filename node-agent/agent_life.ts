/**
 * One life of a node agent: its running parts, the order in which they begin,
 * and the order in which they end.
 *
 * ```text
 * store ─▶ replicator ─▶ HTTP door ─▶ gateway, nginx ─▶ ready
 * ```
 *
 * @module
 */

import { GroupSettings, type HeartbeatReply } from "@kedge/schema";
import type { AgentConfig } from "@kedge/schema/config/agent";
import { systemClock } from "./adapters/clock.ts";
import { type RunningServer, serve } from "./adapters/http_server.ts";
import { LineFile } from "./adapters/line_file.ts";
import type { ReplyCache } from "./adapters/reply_cache.ts";
import { RunMarker } from "./adapters/run_marker.ts";
import { TcpTransport } from "./adapters/tcp_transport.ts";
import { TrackerClock } from "./adapters/tracker_clock.ts";
import { TrackerClient } from "./adapters/tracker_client.ts";
import { plannedAddress } from "./agent_address.ts";
import type { AgentStore } from "./agent_store.ts";
import { AgentReport } from "./agent_report.ts";
import { ClientBodies } from "./client_bodies.ts";
import { FastdfsGateway } from "./fastdfs/gateway.ts";
import { type AgentApp, createAgentApp } from "./http/agent_app.ts";
import type { Admission } from "./join.ts";
import { linkRules } from "./link_rules.ts";
import { type NginxLinks, openToNginx } from "./nginx_links.ts";
import { MigrationDesk } from "./migration/desk.ts";
import { type Answer, Opening } from "./opening.ts";
import type { FileOperations } from "./operation_ports.ts";
import type { Log } from "./ports.ts";
import { ScrubSchedule } from "./scrub_schedule.ts";
import { replicationReport } from "./sync/replication_report.ts";
import { GroupReplicator } from "./sync/replicator.ts";
import { VERSION } from "./version.ts";

/** What an agent says when it is ready to serve. */
export interface AgentReady {
  /** Its number. */
  readonly node: number;
  /** Its group. */
  readonly group: string;
  /** Base URL of its HTTP door. */
  readonly url: string;
}

/**
 * How long an agent waits at its start for somebody who vouches for its data
 * before it says that it is ready, in ms. Without anybody it is ready all the
 * same: to answer `503`, and to be asked for its status.
 */
const VOUCH_PATIENCE_MS = 3000;

/** What surrounds an agent. */
export interface AgentSurroundings {
  readonly log: Log;
  /** Stops the agent cleanly. */
  readonly signal: AbortSignal;
  /** Called when the agent serves; again after a restart of its log. */
  readonly onReady: (ready: AgentReady) => void;
}

/** The running parts of one life. */
export class Life {
  readonly #config: AgentConfig;
  readonly #surroundings: AgentSurroundings;
  readonly #admission: Admission;
  readonly #store: AgentStore;
  readonly #marker: RunMarker;
  readonly #cache: ReplyCache;
  readonly #clock = new TrackerClock(systemClock);
  readonly #bodies = new ClientBodies();
  readonly #restart = Promise.withResolvers<string>();
  #tracker: TrackerClient | undefined;
  #replicator: GroupReplicator | undefined;
  #scrubs: ScrubSchedule | undefined;
  #server: RunningServer | undefined;
  #gateway: FastdfsGateway | undefined;
  #accessLog: LineFile | undefined;
  #migrationDesk: MigrationDesk | undefined;
  #peerClient: Deno.HttpClient | undefined;
  #nginx: NginxLinks | undefined;

  constructor(
    config: AgentConfig,
    surroundings: AgentSurroundings,
    parts: {
      readonly admission: Admission;
      readonly store: AgentStore;
      readonly marker: RunMarker;
      readonly cache: ReplyCache;
    },
  ) {
    this.#marker = parts.marker;
    this.#config = config;
    this.#surroundings = surroundings;
    this.#admission = parts.admission;
    this.#store = parts.store;
    this.#cache = parts.cache;
  }

  async begin({ mayHaveLost }: { mayHaveLost: boolean }): Promise<void> {
    const { identity, caCerts, firstReply } = this.#admission;
    const { log } = this.#surroundings;
    const { node, group } = identity;
    const { files } = this.#store;
    this.#tracker = new TrackerClient({
      trackers: this.#config.trackers,
      node,
      group,
      credential: identity.credential,
      caCerts,
    });
    const report = new AgentReport(this.#config, {
      files,
      scrub: () => this.#scrubs?.report() ?? null,
      load: () => app.load(),
      url: () => this.url,
      peerPort: () => this.#replicator?.address.port,
      // Told from the first report on; if it cannot be had, we do not start.
      fastdfs: () => this.#gateway?.address ?? plannedAddress(this.#config),
      fastdfsStats: () => this.#gateway?.stats(),
    });
    const cachedReply = await this.#cache.load();
    const replicator = this.#replicate({
      mayHaveLost,
      firstReply,
      cachedReply,
      report,
    });
    this.#replicator = replicator;
    this.#scrubs = new ScrubSchedule(this.#config, {
      store: this.#store,
      replicator,
      clock: systemClock,
      log,
    });
    const scrubs = this.#scrubs;
    const app = createAgentApp({
      node,
      group,
      url: () => this.url,
      files,
      replicator,
      clock: this.#clock,
      log,
      fetchPeer: (url, init) => this.#fetchPeer(url, init),
      links: await linkRules(this.#config.downloads, {
        clock: this.#clock,
        log,
      }),
      admin: {
        status: () => {
          const status = replicator.status();
          const replication = replicationReport(status);
          const { root } = status;
          return report.status({ node, group, replicator, replication, root });
        },
        startScrub: () => scrubs.start(),
        scrubProgress: () => scrubs.view(),
        openPath: (pathIndex) => this.#store.openPath(pathIndex),
        confirm: () => replicator.confirm(),
        migration: {
          start: (request) => this.#migrations(app).start(request),
          view: (offset) => this.#migrations(app).view(offset),
          stop: () => this.#migrations(app).stop(),
        },
      },
    });
    const opening = new Opening();
    this.#server = await this.#serve(
      opening.door((request, caller) => app.fetch(request, caller)),
    );
    replicator.start();
    scrubs.schedule();
    await Promise.race([
      replicator.untilVouched(VOUCH_PATIENCE_MS),
      this.untilEnd(this.#surroundings.signal),
    ]);
    opening.open();
    const accessLog = this.#config.fastdfs?.accessLog;
    if (accessLog !== undefined) {
      this.#accessLog = await LineFile.open(accessLog, log);
    }
    this.#gateway = this.#openGateway(app.operations, this.#tracker);
    this.#nginx = openToNginx(this.#config.downloads?.nginxDir, {
      shared: this.#store.shared,
      replicator,
      log,
    });
    this.#surroundings.onReady({ node, group, url: this.url });
  }

  /** Imports and exports; made when they are first asked for. */
  #migrations({ keeper, operations }: AgentApp): MigrationDesk {
    this.#migrationDesk ??= new MigrationDesk({
      keeper,
      operations,
      store: this.#store.linker,
      files: this.#store.files,
      clock: systemClock,
      log: this.#surroundings.log,
      reportDir: `${this.#config.dataDir}/migration`,
      storePaths: this.#config.storePaths,
    });
    return this.#migrationDesk;
  }

  /** The change log can no longer be written: the group must know. */
  logFailed(why: string): void {
    this.#replicator?.logFailed(why);
  }

  /** Until the signal (`undefined`) or a reason to start again. */
  untilEnd(signal: AbortSignal): Promise<string | undefined> {
    const stopped = Promise.withResolvers<undefined>();
    if (signal.aborted) stopped.resolve(undefined);
    const stop = () => stopped.resolve(undefined);
    signal.addEventListener("abort", stop, { once: true });
    return Promise.race([stopped.promise, this.#restart.promise]);
  }

  /** Stop what runs, in the order that loses nothing. */
  async end(): Promise<void> {
    this.#nginx?.stop();
    await this.#migrationDesk?.stop();
    await this.#scrubs?.stop();
    await this.#gateway?.close();
    await this.#accessLog?.close();
    await this.#server?.close();
    this.#peerClient?.close();
    await this.#replicator?.stop();
    this.#tracker?.close();
    await this.#cache.settled();
  }

  #openGateway(
    operations: FileOperations,
    cluster: TrackerClient,
  ): FastdfsGateway | undefined {
    const { fastdfs, storePaths, subdirCountPerPath } = this.#config;
    if (fastdfs === undefined) return undefined;
    return new FastdfsGateway(fastdfs, {
      group: this.#admission.identity.group,
      operations,
      cluster,
      clock: systemClock,
      log: this.#surroundings.log,
      version: VERSION,
      bodies: this.#bodies,
      pathCount: () => storePaths.length,
      subdirCount: subdirCountPerPath,
      ...(this.#accessLog === undefined ? {} : {
        accessLog: (line) => this.#accessLog?.line(line),
      }),
      changes: () => ({
        own: this.#store.log.head(),
        others: this.#store.log.positions()
          .reduce((sum, { sequence }) => sum + sequence, 0),
      }),
    });
  }

  async #fetchPeer(url: string, init: RequestInit): Promise<Response> {
    const caCerts = [...this.#admission.caCerts ?? []];
    this.#peerClient ??= Deno.createHttpClient({ caCerts });
    return await fetch(url, { ...init, client: this.#peerClient });
  }

  /** Under which clients reach this agent. */
  get url(): string {
    return this.#config.advertise ?? this.#server?.url ?? "";
  }

  /** Every few seconds; the marker knows whether there is anything to do. */
  async #trust(): Promise<void> {
    await this.#marker.trust().catch(() => {});
  }

  /** Not this data ran last: check it against the group, in a new life. */
  #setBack(): void {
    const why = "the data folder is an older copy: a tracker knows a later " +
      "state of it";
    this.#marker.failed().catch(() => {})
      .then(() => this.#restart.resolve(why));
  }

  #replicate(given: {
    readonly mayHaveLost: boolean;
    readonly firstReply: HeartbeatReply | undefined;
    readonly cachedReply: HeartbeatReply | undefined;
    readonly report: AgentReport;
  }): GroupReplicator {
    const { identity } = this.#admission;
    const tracker = this.#tracker;
    if (tracker === undefined) {
      throw new Error("the tracker client comes first");
    }
    return new GroupReplicator({
      node: identity.node,
      group: identity.group,
      files: this.#store.files,
      log: this.#store.log,
      bodies: this.#bodies,
      transport: new TcpTransport(),
      tracker,
      clock: systemClock,
      logger: this.#surroundings.log,
      listen: this.#config.peerListen,
      mayHaveLost: given.mayHaveLost,
      run: {
        ...this.#store.run,
        heard: () => this.#store.runHeard(),
        setBack: () => this.#setBack(),
      },
      firstReply: given.firstReply,
      cachedReply: given.cachedReply,
      onReply: (reply) => {
        this.#clock.heard(reply.clockMs);
        const isSuspect = this.#replicator?.isSuspect !== false;
        if (!isSuspect && !reply.isSetBack) void this.#trust();
        this.#cache.keep(reply);
        this.#store.follow(reply.settings);
      },
      defaultSettings: GroupSettings.parse({}),
      report: () => given.report.facts(),
      onRestartLog: (why) => this.#restart.resolve(why),
      settings: { ackTimeoutMs: this.#config.ackTimeoutMs },
      isolatedReads: this.#config.isolatedReads,
      tombstoneAgeMs: this.#config.tombstoneAgeMs,
      logKeepRecords: this.#config.logKeepRecords,
      logLagRecordsMax: this.#config.logLagRecordsMax,
      pace: {
        bytesPerSecond: this.#config.syncBytesPerS,
        fileMs: this.#config.syncIntervalMs,
        ...this.#config.syncWindow,
      },
    });
  }

  async #serve(fetch: Answer): Promise<RunningServer> {
    const { listen, tls } = this.#config;
    const certificate = tls === undefined ? {} : {
      cert: await Deno.readTextFile(tls.certFile),
      key: await Deno.readTextFile(tls.keyFile),
    };
    return await serve(fetch, {
      ...listen,
      ...certificate,
      onShortage: (why) =>
        this.#surroundings.log.warn("idle connections are closed", { why }),
    });
  }
}
