/**
 * Several replicators in one process, with stores and a tracker in memory.
 *
 * @module
 */

import type { NodeId } from "@kedge/schema";
import type { Change, FileEntry } from "@kedge/schema/change";
import type {
  ContentSource,
  Log,
  PeerTransport,
  Staged,
} from "../../node-agent/ports.ts";
import { GroupReplicator } from "../../node-agent/sync/replicator.ts";
import type { ReplicatorOptions } from "../../node-agent/sync/replicator_options.ts";
import { eventually } from "./eventually.ts";
import { MemoryStore } from "./memory_store.ts";
import { MemoryTracker } from "./memory_tracker.ts";
import { MemoryNetwork } from "./memory_transport.ts";

/** Secret of the test cluster. */
export const TEST_SECRET = "0".repeat(43);

/** One node of the group. */
export interface TestNode {
  readonly node: NodeId;
  readonly store: MemoryStore;
  readonly replicator: GroupReplicator;
  readonly lines: string[];
}

/** What a test may choose. */
export interface ReplicaGroupOptions {
  readonly transport?: (() => PeerTransport) | undefined;
  readonly more?: Partial<ReplicatorOptions> | undefined;
}

/** See the module comment. */
export class ReplicaGroup {
  readonly tracker = new MemoryTracker();
  readonly network = new MemoryNetwork();
  readonly nodes = new Map<NodeId, TestNode>();
  readonly #options: ReplicaGroupOptions;

  /** A group without members. */
  constructor(options: ReplicaGroupOptions = {}) {
    this.#options = options;
  }

  /** Add a new, empty member and start it. */
  add(node: NodeId): TestNode {
    const store = new MemoryStore(node);
    this.tracker.change({ kind: "add", node, store: store.store });
    return this.start(store);
  }

  /** Start a node with a store that exists already. */
  start(store: MemoryStore, more: Partial<ReplicatorOptions> = {}): TestNode {
    const { node } = store;
    const lines: string[] = [];
    const transport = this.#options.transport?.() ?? this.network.transport();
    const replicator: GroupReplicator = new GroupReplicator({
      node,
      group: "group1",
      clusterSecret: TEST_SECRET,
      files: store,
      log: store,
      transport,
      tracker: this.tracker.port(node),
      clock: {
        monotonicMs: () => performance.now(),
        wallMs: () => Date.now(),
      },
      logger: linesLog(lines),
      listen: { hostname: "127.0.0.1", port: 0 },
      mayHaveLost: false,
      defaultSettings: { level: "B", fileBytesMax: 1024 ** 4 },
      settings: { regrowDelayMs: 100 },
      report: () => ({
        url: `http://127.0.0.1:${8000 + node}`,
        peerAddress: replicator.address,
        storePaths: store.storePaths(),
        load: 0,
        fileCount: store.fileCount(),
        uploadPriority: 10,
        version: "test",
        alarms: [],
        scrub: null,
      }),
      onRestartLog: (why) => lines.push(`restart-log ${why}`),
      ...this.#options.more,
      ...more,
    });
    replicator.start();
    const started = { node, store, replicator, lines };
    this.nodes.set(node, started);
    return started;
  }

  /** Stop one node. */
  stop(node: NodeId): void {
    void this.nodes.get(node)?.replicator.stop();
    this.nodes.delete(node);
    this.tracker.reports.delete(node);
  }

  /** Wait until exactly these are in sync, and all of them know it. */
  async insync(...nodes: NodeId[]): Promise<void> {
    await eventually(() => {
      const { epoch, insync } = this.tracker.current;
      if (insync.join() !== nodes.join()) return false;
      return nodes.every((node) =>
        this.nodes.get(node)?.store.register()?.epoch === epoch
      );
    }, { what: `${nodes} to be in sync`, pauseMs: 10, deadlineMs: 10_000 });
  }

  [Symbol.dispose](): void {
    for (const { replicator } of this.nodes.values()) void replicator.stop();
  }
}

/** A file as a client would upload it. */
export async function stageFile(
  store: MemoryStore,
  bytes: Uint8Array,
  relay?: ReturnType<GroupReplicator["openRelay"]>,
): Promise<{ change: Change; content: ContentSource; staged: Staged }> {
  const staged = await store.stage({ body: bytes, sizeBytesMax: 1e9, relay });
  const id = store.newId({ staged, extension: "bin", appender: false });
  const entry: FileEntry = {
    id,
    state: "present",
    epoch: store.register()?.epoch ?? 0,
    version: 1,
    origin: store.node,
    sizeBytes: staged.sizeBytes,
    crc32: staged.crc32,
    sha256: staged.sha256,
    type: null,
    name: "test.bin",
    meta: {},
    createdS: 1_790_000_000,
    appender: false,
    master: null,
  };
  const content: ContentSource = staged.inline === undefined
    ? { kind: "staged", staged }
    : { kind: "inline", bytes: staged.inline };
  return { change: { entry, body: { kind: "whole" } }, content, staged };
}

function linesLog(lines: string[]): Log {
  const line = (message: string, facts: Record<string, unknown> = {}) => {
    lines.push(`${message} ${JSON.stringify(facts)}`);
  };
  return { info: line, warn: line };
}
