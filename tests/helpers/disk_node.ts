/**
 * A node of a group with a store on a real disk, in this process.
 *
 * @module
 */

import type { Level } from "@kedge/schema";
import type { Change, FileEntry } from "@kedge/schema/change";
import {
  openStore,
  type Store,
  type StoreOptions,
} from "../../node-agent/files/store.ts";
import { TcpTransport } from "../../node-agent/adapters/tcp_transport.ts";
import { GroupReplicator } from "../../node-agent/sync/replicator.ts";
import type { ReplicatorOptions } from "../../node-agent/sync/replicator_options.ts";
import { eventually } from "./eventually.ts";
import type { MemoryTracker } from "./memory_tracker.ts";
import { TEST_SECRET } from "./replica_group.ts";

const CLOCK = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};

/** What a test may choose. */
export type DiskNodeOptions = Partial<
  Pick<ReplicatorOptions, "bodies" | "transport">
>;

/** One node with a real store. */
export class DiskNode implements AsyncDisposable {
  /** What was told to the log. */
  readonly lines: string[] = [];
  readonly store: Store;
  readonly replicator: GroupReplicator;

  private constructor(
    store: Store,
    tracker: MemoryTracker,
    more: DiskNodeOptions,
  ) {
    const { node } = store.log;
    this.store = store;
    const line = (message: string, facts: Record<string, unknown> = {}) => {
      this.lines.push(`${message} ${JSON.stringify(facts)}`);
    };
    this.replicator = new GroupReplicator({
      node,
      group: "group1",
      clusterSecret: TEST_SECRET,
      files: store.files,
      log: store.log,
      transport: new TcpTransport(),
      tracker: tracker.port(node),
      clock: CLOCK,
      logger: { info: line, warn: line },
      listen: { hostname: "127.0.0.1", port: 0 },
      mayHaveLost: false,
      defaultSettings: { level: "B", fileBytesMax: 1024 ** 4 },
      // A slow disk of the machine that tests is no fault of the peer.
      settings: { regrowDelayMs: 100, ackTimeoutMs: 30_000, giveUpMs: 60_000 },
      report: () => ({
        url: `http://127.0.0.1:${8000 + node}`,
        peerAddress: this.replicator.address,
        storePaths: store.files.storePaths(),
        load: 0,
        fileCount: store.files.fileCount(),
        uploadPriority: 10,
        version: "test",
        alarms: [],
        scrub: null,
      }),
      onRestartLog: (why) => line(`restart-log ${why}`),
      tombstoneAgeMs: 100,
      ...more,
    });
    this.replicator.start();
  }

  /** Open the store of a node, new or not, and start it. */
  static async open(
    dir: string,
    node: number,
    tracker: MemoryTracker,
    more: DiskNodeOptions = {},
  ): Promise<DiskNode> {
    const options: StoreOptions = {
      dataDir: `${dir}/${node}/data`,
      storePaths: [`${dir}/${node}/p0`],
      node,
      group: "group1",
      reserve: { kind: "bytes", bytes: 0 },
      clock: CLOCK,
      log: { info() {}, warn() {} },
      reserveFileBytes: 0,
      settleDelayMs: 200,
    };
    const store = await openStore(options);
    const isMember = tracker.current.members.some((one) => one.node === node);
    if (!isMember) {
      tracker.change({ kind: "add", node, store: store.log.store });
    }
    return new DiskNode(store, tracker, more);
  }

  /** Store a file as a client would, from a stream. */
  async upload(bytes: Uint8Array, level: Level): Promise<{
    entry: FileEntry;
    holders: readonly number[];
  }> {
    const { files } = this.store;
    const relay = this.replicator.openRelay();
    const body = new Blob([new Uint8Array(bytes)]).stream();
    const sizeBytes = bytes.length;
    const staged = await files.stage({
      body,
      sizeBytes,
      sizeBytesMax: 1e12,
      relay,
      durable: level === "C",
    });
    const id = files.newId({ staged, extension: "bin", appender: false });
    const entry: FileEntry = {
      id,
      state: "present",
      epoch: this.replicator.register().epoch,
      version: 1,
      origin: this.store.log.node,
      sizeBytes,
      crc32: staged.crc32,
      sha256: staged.sha256,
      type: null,
      name: null,
      meta: {},
      createdS: Math.floor(Date.now() / 1000),
      appender: false,
      master: null,
    };
    const change: Change = { entry, body: { kind: "whole" } };
    const content = staged.inline === undefined
      ? { kind: "staged" as const, staged }
      : { kind: "inline" as const, bytes: staged.inline };
    const done = await this.replicator.commit(change, content, level);
    return { entry, holders: done.holders.toSorted() };
  }

  /** Delete a file durably. */
  async delete(entry: FileEntry): Promise<void> {
    const { epoch } = this.replicator.register();
    const version = entry.version + 1;
    const dead: FileEntry = { ...entry, state: "tombstone", epoch, version };
    const change: Change = { entry: dead, body: { kind: "none" } };
    await this.replicator.commit(change, { kind: "none" }, "C");
  }

  /** The whole content of a file, as it is here. */
  async read(entry: FileEntry): Promise<Uint8Array> {
    const content = await this.store.files.read(entry);
    return content instanceof Uint8Array
      ? content
      : new Uint8Array(await new Response(content).arrayBuffer());
  }

  /** Stop cleanly. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.replicator.stop();
    await this.store.close({ clean: true });
  }
}

/** Wait until these are all that are in sync, and know it. */
export async function inSync(
  tracker: MemoryTracker,
  ...nodes: DiskNode[]
): Promise<void> {
  await eventually(() => {
    const { epoch, insync } = tracker.current;
    return insync.length === nodes.length &&
      nodes.every((node) => node.store.log.register()?.epoch === epoch);
  }, { what: "both in sync", pauseMs: 20 });
}
