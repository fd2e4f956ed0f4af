/**
 * What `agent.ts` passes to the replicator, and what the replicator tells.
 *
 * @module
 */

import type {
  GroupName,
  GroupSettings,
  Heartbeat,
  HeartbeatReply,
  NodeId,
  PeerAddress,
  RootHash,
} from "@kedge/schema";
import type { ClientBodies } from "../client_bodies.ts";
import type {
  ChangeLog,
  Clock,
  LocalFiles,
  Log,
  PeerTransport,
  TrackerPort,
} from "../ports.ts";
import type { CompareProgress } from "./compare.ts";
import type { PaceLimits } from "./pace.ts";
import type { ReplicaSettings } from "./replica_core.ts";
import type { LogStatus } from "./log_cutter.ts";
import type { TombstoneStatus } from "./tombstones.ts";

/** What a heartbeat says that the replicator does not know itself. */
export type NodeReportFacts = Omit<
  Heartbeat,
  | "store"
  | "run"
  | "head"
  | "positions"
  | "root"
  | "replication"
  | "epoch"
  | "gen"
>;

/** Which starts led to the state of our database. */
export interface RunOfStore {
  /** Identity of this start. */
  readonly id: string;
  /** The last start that a tracker heard of, and all since. */
  readonly former: readonly string[];
  /** A tracker heard of this one. */
  heard(): Promise<void>;
  /**
   * A tracker heard of a later state than ours: our database is an older copy.
   * Start again as one that may have lost records.
   */
  setBack(): void;
}

/** See `GroupReplicator`. */
export interface ReplicatorOptions {
  readonly node: NodeId;
  readonly group: GroupName;
  /** For tests without a tracker's peer keys. */
  readonly clusterSecret?: string | undefined;
  readonly files: LocalFiles;
  readonly log: ChangeLog;
  /** Memory of bodies that {@linkcode GroupReplicator.commit} is given. */
  readonly bodies?: ClientBodies | undefined;
  readonly transport: PeerTransport;
  readonly tracker: TrackerPort;
  readonly clock: Clock;
  readonly logger: Log;
  /** Where to take connections of peers. Port 0 is any free one. */
  readonly listen: PeerAddress;
  /**
   * Records that were written but not flushed may be gone: the last stop was
   * not clean and the machine has restarted since. When unknown, true.
   */
  readonly mayHaveLost: boolean;
  /** Without it, nobody has to vouch for our database. For tests. */
  readonly run?: RunOfStore | undefined;
  /** Answer to the join, when this is the first start. */
  readonly firstReply?: HeartbeatReply | undefined;
  /** What a tracker said in an earlier life: peers and keys, no register. */
  readonly cachedReply?: HeartbeatReply | undefined;
  /** Called with every answer of a tracker. */
  onReply?(reply: HeartbeatReply): void;
  /** Group settings until a tracker tells them. */
  readonly defaultSettings: GroupSettings;
  /** Whether to serve reads without contact to anybody. */
  readonly isolatedReads?: "refuse" | "serve" | undefined;
  /** Limits of background catching-up; none when missing. */
  readonly pace?: PaceLimits | undefined;
  /** The rest of a heartbeat. Our alarms are added. */
  report(): NodeReportFacts;
  /** Stop the process and start again as after an unclean stop. */
  onRestartLog(why: string): void;
  /** Age before a tombstone may be forgotten, in ms; an hour when missing. */
  readonly tombstoneAgeMs?: number | undefined;
  /** Records of our log that are kept in any case; 10,000 when missing. */
  readonly logKeepRecords?: number | undefined;
  /** Records that are kept for a member out of sync; a million when missing. */
  readonly logLagRecordsMax?: number | undefined;
  /**
   * Most bytes that peers are told to send within a record, at least
   * `INLINE_BODY_BYTES_MAX`; for tests. Missing is `RECORD_BODY_BYTES_MAX`.
   */
  readonly recordBytesMax?: number | undefined;
  /** Times of the core that differ from its defaults, such as `ackTimeoutMs`. */
  readonly settings?: Partial<ReplicaSettings> | undefined;
}

/** One other member, as this node sees it. */
export interface PeerStatus {
  readonly node: NodeId;
  readonly insync: boolean;
  readonly linked: boolean;
  /** Whether answers at B and C wait for it. */
  readonly required: boolean;
  /** Changes of ours that it has not acknowledged; `null` is not known. */
  readonly lagChanges: number | null;
  /** Bytes of ours that are under way to it. */
  readonly underWayBytes: number;
  /** Bytes of its changes that wait to be stored here. */
  readonly waitingBytes: number;
  /** Why it could not be reached the last time; "" is no failure. */
  readonly failure: string;
}

/** What `kedge status` shows of replication. */
export interface ReplicatorStatus {
  readonly node: NodeId;
  readonly group: GroupName;
  readonly epoch: number;
  readonly gen: string | null;
  readonly insync: readonly NodeId[];
  /** What this node is in its group. */
  readonly role: "in-sync" | "joining" | "outsider" | "unknown";
  /** What an operator wants of it. */
  readonly mode: HeartbeatReply["mode"];
  /** Why no changes are taken; `null` when they are. */
  readonly readOnly: string | null;
  /** Changes that wait for their answer. */
  readonly pending: number;
  readonly peers: readonly PeerStatus[];
  /** The comparison that runs now. */
  readonly catchUp: CompareProgress | null;
  /** Nobody has vouched for our database since the start. */
  readonly mayBeOld: boolean;
  /** Changes of others that were stored here lately, per second. */
  readonly appliedPerS: number;
  /** All of our files as one number; `null` while they are counted. */
  readonly root: RootHash | null;
  /** Deleted files that are remembered. */
  readonly tombstones: TombstoneStatus;
  /** Our change log. */
  readonly log: LogStatus;
  /** Why trackers cannot be reached; "" when they can. */
  readonly trackerFailure: string;
  /** Longest recent pause of the event loop, in milliseconds. */
  readonly loopLagMs: number;
  readonly alarms: readonly string[];
}
