/**
 * What an agent tells of itself: to trackers in heartbeats, to anybody at
 * `GET /v1/node`.
 *
 * @module
 */

import type {
  Heartbeat,
  NodeId,
  PeerAddress,
  ReplicationReport,
  RootHash,
} from "@kedge/schema";
import type { AgentConfig } from "@kedge/schema/config/agent";
import type { FastdfsStats } from "@kedge/schema/fastdfs-stats";
import type { LocalFiles, Replicator } from "./ports.ts";
import { VERSION } from "./version.ts";

/** Where the facts come from. */
export interface ReportSources {
  readonly files: LocalFiles;
  /** The scrub that runs, or `null`. */
  scrub(): Heartbeat["scrub"];
  /** Requests under way. */
  load(): number;
  /** Base URL for clients. */
  url(): string;
  /** Port that peers connect to, once it listens. */
  peerPort(): number | undefined;
  /** Where FastDFS's clients reach this node, if they may. */
  fastdfs?(): PeerAddress | undefined;
  /** What their gateway counted. */
  fastdfsStats?(): FastdfsStats | undefined;
}

/** The facts that the replicator does not know. */
export class AgentReport {
  readonly #config: AgentConfig;
  readonly #sources: ReportSources;

  /** Tells what `sources` say at the moment of asking. */
  constructor(config: AgentConfig, sources: ReportSources) {
    this.#config = config;
    this.#sources = sources;
  }

  /** For a heartbeat. */
  facts() {
    const { files, scrub, load, url, peerPort } = this.#sources;
    const { peerAdvertise, peerListen, uploadPriority } = this.#config;
    const peerAddress = peerAdvertise ??
      { hostname: peerListen.hostname, port: peerPort() ?? peerListen.port };
    const fastdfs = this.#sources.fastdfs?.();
    const fastdfsStats = this.#sources.fastdfsStats?.();
    return {
      url: url(),
      peerAddress,
      ...(fastdfs === undefined ? {} : { fastdfs }),
      ...(fastdfsStats === undefined ? {} : { fastdfsStats }),
      storePaths: files.storePaths(),
      load: load(),
      fileCount: files.fileCount(),
      uploadPriority,
      version: VERSION,
      alarms: files.alarms().slice(0, 32).map((text) => text.slice(0, 300)),
      scrub: scrub(),
    };
  }

  /** For anybody: no secret and no path of this host. */
  status(given: {
    readonly node: NodeId;
    readonly group: string;
    readonly replicator: Replicator;
    readonly replication: ReplicationReport;
    readonly root: RootHash | null;
  }) {
    const { node, group, replicator, replication, root } = given;
    const { files, load } = this.#sources;
    const mayWrite = replicator.mayWrite();
    const mayRead = replicator.mayRead();
    return {
      node,
      group,
      version: VERSION,
      files: files.fileCount(),
      load: load(),
      takesChanges: mayWrite.ok,
      servesReads: mayRead.ok,
      ...(mayWrite.ok ? {} : { why: mayWrite.why }),
      root,
      replication,
    };
  }
}
