/**
 * What `agent.ts` passes to the replicator.
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
} from "@kedge/schema";
import type {
  ChangeLog,
  Clock,
  LocalFiles,
  Log,
  PeerTransport,
  TrackerPort,
} from "../ports.ts";
import type { ReplicaSettings } from "./replica_core.ts";

/** What a heartbeat says that the replicator does not know itself. */
export type NodeReportFacts = Omit<
  Heartbeat,
  "store" | "head" | "positions" | "epoch" | "gen"
>;

/** See `GroupReplicator`. */
export interface ReplicatorOptions {
  readonly node: NodeId;
  readonly group: GroupName;
  /** Cluster secret, base64url of 32 bytes. Never logged. */
  readonly clusterSecret: string;
  readonly files: LocalFiles;
  readonly log: ChangeLog;
  readonly transport: PeerTransport;
  readonly tracker: TrackerPort;
  readonly clock: Clock;
  readonly logger: Log;
  /** Where to take connections of peers. */
  readonly listen: PeerAddress;
  /**
   * Records that were written but not flushed may be gone: the last stop was
   * not clean and the machine has restarted since. When unknown, true.
   */
  readonly mayHaveLost: boolean;
  /** Answer to the join, when this is the first start. */
  readonly firstReply?: HeartbeatReply | undefined;
  /** Group settings until a tracker tells them. */
  readonly defaultSettings: GroupSettings;
  /** The rest of a heartbeat. */
  report(): NodeReportFacts;
  /** Stop the process and start again as after an unclean stop. */
  onRestartLog(why: string): void;
  /** Times of the core that differ from its defaults. */
  readonly settings?: Partial<ReplicaSettings> | undefined;
}
