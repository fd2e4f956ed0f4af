/**
 * A gateway over fake ports, on a free port of this machine.
 *
 * @module
 */

import { ClientBodies } from "../../node-agent/client_bodies.ts";
import { FastdfsGateway } from "../../node-agent/fastdfs/gateway.ts";
import type { FastdfsConfig } from "@kedge/schema/config/fastdfs";
import type { FastdfsNode, FastdfsView } from "@kedge/schema/fastdfs-view";
import { systemClock } from "../../node-agent/adapters/clock.ts";
import type { HttpLimits } from "../../node-agent/http/deps.ts";
import type { WirePatience } from "../../node-agent/fastdfs/wire_connection.ts";
import { FakeDoor } from "./fake_door.ts";
import { RawFastdfs } from "./fastdfs_raw.ts";
import type { Scope } from "./scope.ts";

/** Group of the fake ports. */
const GROUP = "group1";

/** What a test may choose. */
export interface TestGatewayOptions {
  readonly config?: Partial<FastdfsConfig>;
  readonly patience?: Partial<WirePatience>;
  /** Limits of the HTTP side. */
  readonly limits?: Partial<HttpLimits>;
  /** The HTTP doors of other agents. */
  readonly fetchPeer?: (url: string, init: RequestInit) => Promise<Response>;
  /** Takes the lines of the access log. */
  readonly accessLog?: (line: string) => void;
  /** Change what the tracker says. */
  readonly view?: (view: FastdfsView) => FastdfsView;
}

/** A gateway with what stands behind it. */
export class TestGateway {
  /** Files and group. */
  readonly door: FakeDoor;
  /** What was told to the log. */
  readonly warnings: string[] = [];
  /** Memory for what clients upload. */
  readonly bodies = new ClientBodies();
  /** The gateway itself. */
  readonly gateway: FastdfsGateway;
  /** Set by a test: the tracker does not answer. */
  isTrackerAway = false;
  /** Set by a test: so much time has passed, in ms. */
  aheadMs = 0;
  /** Set by a test: changes that are stored. */
  marks = { own: 0, others: 0 };
  readonly #options: TestGatewayOptions;

  private constructor(options: TestGatewayOptions) {
    this.#options = options;
    const { fetchPeer, limits } = options;
    this.door = new FakeDoor({
      ...(fetchPeer === undefined ? {} : { fetchPeer }),
      ...(limits === undefined ? {} : { limits }),
    });
    this.gateway = new FastdfsGateway({
      listen: { hostname: "127.0.0.1", port: 0 },
      trackerListen: { hostname: "127.0.0.1", port: 0 },
      advertise: undefined,
      allowHosts: ["127.0.0.0/8"],
      isReadOnly: false,
      connectionsMax: 100,
      lists: "6",
      ...options.config,
    }, {
      group: GROUP,
      operations: this.door.app.operations,
      cluster: { fastdfsView: () => this.#view() },
      clock: {
        monotonicMs: () => systemClock.monotonicMs() + this.aheadMs,
        wallMs: () => systemClock.wallMs(),
      },
      log: {
        info() {},
        warn: (message, facts) => {
          this.warnings.push(`${message} ${JSON.stringify(facts)}`);
        },
      },
      version: "0.1.0",
      bodies: this.bodies,
      pathCount: () => 2,
      subdirCount: 256,
      changes: () => this.marks,
      accessLog: options.accessLog,
      patience: options.patience,
    });
  }

  /** Open one that closes with the scope. */
  static open(scope: Scope, options: TestGatewayOptions = {}): TestGateway {
    const made = new TestGateway(options);
    scope.defer(() => made.gateway.close());
    return made;
  }

  /** Connect to the storage side. */
  storage(): Promise<RawFastdfs> {
    return RawFastdfs.connect(this.gateway.address);
  }

  /** Connect to the tracker side. */
  tracker(): Promise<RawFastdfs> {
    return RawFastdfs.connect(this.gateway.trackerAddress);
  }

  #view(): Promise<FastdfsView> {
    if (this.isTrackerAway) return Promise.reject(new Error("nobody there"));
    const register = this.door.replicator.register();
    const nodes = [viewNode(1, this.gateway.address), viewNode(2, OTHER)];
    const draws = [0, 1].map((pathIndex) => ({
      ...{ group: GROUP, node: 1, pathIndex },
    }));
    const view: FastdfsView = {
      groups: [{
        register,
        totalBytes: 100 * 2 ** 20,
        freeBytes: 60 * 2 ** 20,
        reservedBytes: 10 * 2 ** 20,
        nodes,
        draws,
        isFull: false,
      }],
      draws,
    };
    return Promise.resolve(this.#options.view?.(view) ?? view);
  }
}

/** Where the second member says it is; nobody listens there. */
export const OTHER = { hostname: "127.9.9.9", port: 23_000 };

function viewNode(node: number, address: FastdfsNode["address"]): FastdfsNode {
  return {
    node,
    address,
    alive: true,
    insync: true,
    mode: "active",
    joinedS: 1_700_000_000,
    silentS: 1,
    totalBytes: 100 * 2 ** 20,
    freeBytes: 60 * 2 ** 20,
    storePathCount: 2,
    uploadPriority: 10,
    version: "0.1.0",
  };
}
