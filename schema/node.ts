/**
 * What a tracker knows of a node, and what a node reports.
 *
 * @module
 */

import { z } from "zod";
import { FastdfsStats } from "./fastdfs_stats.ts";
import { GroupName, Level, NodeId, StoreId } from "./group.ts";
import {
  EPOCH_REPORTED_MAX,
  GROUP_NODES_MAX,
  INLINE_BODY_BYTES_MAX,
  STORE_PATHS_MAX,
} from "./limits.ts";
import { GroupRegister } from "./register.ts";

/** Where other agents reach an agent. */
export const PeerAddress = z.object({
  /** Name or IP address. */
  hostname: z.string().min(1).max(253),
  /** TCP port. */
  port: z.int().min(1).max(65535),
});
/** Where other agents reach an agent. */
export type PeerAddress = z.infer<typeof PeerAddress>;

/** One disk or folder of a node. */
export const StorePathReport = z.object({
  /** Index: `M00` is 0. */
  index: z.int().min(0).max(STORE_PATHS_MAX - 1),
  /** Size of its file system, in bytes. */
  totalBytes: z.int().min(0),
  /** What is left for us, in bytes. */
  freeBytes: z.int().min(0),
  /** `fenced` after an I/O error, `missing` when the disk is not ours. */
  state: z.enum(["writable", "read-only", "full", "fenced", "missing"]),
  /** Why it is not writable. */
  reason: z.string().max(300).optional(),
  /** Files that must come from the group since the disk was replaced. */
  refillFiles: z.int().min(0).optional(),
});
/** One disk or folder of a node. */
export type StorePathReport = z.infer<typeof StorePathReport>;

/** How far a node has applied the changes of an origin. */
export const SyncPosition = z.object({
  /** Whose changes. */
  origin: NodeId,
  /** Which run of that origin's log. */
  incarnation: z.int().min(1),
  /** Last change applied, from 1; 0 is none. */
  sequence: z.int().min(0),
});
/** How far a node has applied the changes of an origin. */
export type SyncPosition = z.infer<typeof SyncPosition>;

/**
 * One hash over all present files of a node (id, state, epoch, version): equal
 * on two members exactly when they hold the same files (promises.md F9).
 */
export const RootHash = z.object({
  /** First 16 bytes of a SHA-256, in hex. */
  hash: z.string().regex(/^[0-9a-f]{32}$/),
  /** What it was computed at: the newest position per origin, ours included. */
  positions: z.array(SyncPosition).max(256),
});
/** One hash over all present files of a node. */
export type RootHash = z.infer<typeof RootHash>;

/** How replication goes on a node. */
export const ReplicationReport = z.object({
  /** Towards each other member. */
  peers: z.array(z.object({
    node: NodeId,
    linked: z.boolean(),
    /** Changes of ours that it has not acknowledged; `null` is not known. */
    lagChanges: z.int().min(0).nullable(),
    /** Bytes of ours that are under way to it. */
    underWayBytes: z.int().min(0),
    /** Bytes of its changes that wait to be stored here. */
    waitingBytes: z.int().min(0),
  })).max(256),
  /** The comparison with a member that runs now. */
  catchUp: z.object({
    donor: NodeId,
    bucketsTotal: z.int().min(0),
    bucketsDone: z.int().min(0),
    takenFiles: z.int().min(0),
    takenBytes: z.int().min(0),
    givenFiles: z.int().min(0),
    /** Taken per second since it began, in bytes. */
    bytesPerS: z.int().min(0),
    etaS: z.int().min(0).nullable(),
  }).nullable(),
  /** Changes of others that were stored here lately, per second. */
  appliedPerS: z.number().min(0),
  /** Deleted files that are remembered. */
  tombstones: z.object({
    count: z.int().min(0),
    forgotten: z.int().min(0),
    /** Why old ones are not forgotten now. */
    blocked: z.string().max(300).nullable(),
  }),
  /** Changes of clients that wait for their answer. */
  pending: z.int().min(0),
});
/** How replication goes on a node. */
export type ReplicationReport = z.infer<typeof ReplicationReport>;

/** Which starts of an agent led to the state of its database. */
const RunReport = z.object({
  /** Identity of this start. */
  id: z.uuid(),
  /** The last start that a tracker heard of, and all since. */
  former: z.array(z.uuid()).max(64),
  /**
   * Whether the node checks its data against the group in this run anyway,
   * because records may be gone.
   */
  isChecking: z.boolean(),
});

/** What a node tells a tracker every few seconds. */
export const Heartbeat = z.object({
  /** Identity of its database. */
  store: StoreId,
  /** This start and those before it; a joining node has none yet. */
  run: RunReport.optional(),
  /** Base URL of its HTTP door, without a slash at the end. */
  url: z.url({ protocol: /^https?$/ }),
  /** Where peers connect. */
  peerAddress: PeerAddress,
  /** Where its FastDFS gateway listens, if it has one. */
  fastdfs: PeerAddress.optional(),
  /** What that gateway counted. */
  fastdfsStats: FastdfsStats.optional(),
  /** Its disks. */
  storePaths: z.array(StorePathReport).max(STORE_PATHS_MAX),
  /** Its own log: the last record that it has. */
  head: SyncPosition,
  /** What it has of the others: the newest run of each. */
  positions: z.array(SyncPosition).max(256),
  /** All of its files as one number; missing while they are counted. */
  root: RootHash.optional(),
  /** How replication goes; missing before the first look. */
  replication: ReplicationReport.optional(),
  /** Requests under way. */
  load: z.int().min(0),
  /** Files that it holds. */
  fileCount: z.int().min(0),
  /** Lower is chosen first by `first_by_priority`. Source: FastDFS. */
  uploadPriority: z.int().min(0).max(1000),
  /** Version of the program. */
  version: z.string().max(40),
  /** Epoch of the register it acts under; 0 is none yet. */
  epoch: z.int().min(0).max(EPOCH_REPORTED_MAX),
  /** Generation of the KV it knows; `null` is none yet. */
  gen: z.uuid().nullable(),
  /** Anything an operator should see, such as "store path M01 is fenced". */
  alarms: z.array(z.string().max(300)).max(32),
  /** The scrub, if one runs. */
  scrub: z.object({
    checkedBytes: z.int().min(0),
    totalBytes: z.int().min(0),
    repaired: z.int().min(0),
    damaged: z.int().min(0),
    etaS: z.int().min(0).nullable(),
  }).nullable(),
});
/** What a node tells a tracker every few seconds. */
export type Heartbeat = z.infer<typeof Heartbeat>;

/** A node as the KV holds it. */
export const NodeRecord = z.object({
  /** Which node. */
  node: NodeId,
  /** Its group. */
  group: GroupName,
  /** SHA-256 of its credential, in hex: the credential itself is not kept. */
  credentialHash: z.string().regex(/^[0-9a-f]{64}$/),
  /** What an operator wants of it. */
  mode: z.enum(["active", "draining", "read-only"]),
  /** When it joined, in ms since the Unix epoch. */
  joinedMs: z.int().min(0),
  /** Hash of the token it joined with; gone with its first heartbeat. */
  joinToken: z.string().regex(/^[0-9a-f]{64}$/).optional(),
});
/** A node as the KV holds it. */
export type NodeRecord = z.infer<typeof NodeRecord>;

/** The last heartbeat of a node, and when the tracker heard it. */
export const NodeReport = z.object({
  /** Tracker's clock, in ms since the Unix epoch; decides only placement. */
  heardMs: z.int().min(0),
  /** What it said. */
  heartbeat: Heartbeat,
  /** Its database is an older copy, and it has not heard so for certain yet. */
  isSetBack: z.literal(true).optional(),
});
/** The last heartbeat of a node. */
export type NodeReport = z.infer<typeof NodeReport>;

/** A key that signs capabilities. */
export const SigningKey = z.object({
  /** Short name, in every capability. */
  id: z.string().regex(/^[A-Za-z0-9_-]{1,16}$/),
  /** 32 bytes in base64url. */
  secret: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  /** When it was made, in ms since the Unix epoch. */
  createdMs: z.int().min(0),
});
/** A key that signs capabilities. */
export type SigningKey = z.infer<typeof SigningKey>;

/** Largest file that is packed with others, in bytes; 0 packs none. */
export const SmallFileMax = z.int().min(0).max(INLINE_BODY_BYTES_MAX)
  .describe("Largest file that is packed with others, in bytes");

/** What operators choose for a group. */
export const GroupSettings = z.object({
  /** Level of uploads that do not ask for one. */
  level: Level.default("B"),
  /** Largest file, in bytes. */
  fileBytesMax: z.int().min(1).default(1024 ** 4),
  /**
   * Files up to this many bytes are packed into segments by every member; 0
   * packs none. Missing: each agent does as its own `small_file_max` says.
   */
  smallFileMax: SmallFileMax.optional(),
});
/** What operators choose for a group. */
export type GroupSettings = z.infer<typeof GroupSettings>;

/** A member as its peers need it. */
export const PeerInfo = z.object({
  /** Which node. */
  node: NodeId,
  /** Where its peers connect. */
  peerAddress: PeerAddress,
  /** Base URL of its HTTP door. */
  url: z.string(),
});
/** A member as its peers need it. */
export type PeerInfo = z.infer<typeof PeerInfo>;

/**
 * What two members prove to each other. Each pair has its own, so that a node,
 * also one that was removed, can only ever speak for itself.
 */
export const PeerKey = z.object({
  /** The other member. */
  node: NodeId,
  /** HMAC-SHA-256 of the pair under the cluster secret, base64url. */
  key: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
});
/** What two members prove to each other. */
export type PeerKey = z.infer<typeof PeerKey>;

/** What a tracker answers to a heartbeat and to a join. */
export const HeartbeatReply = z.object({
  /** The group as it is now. */
  register: GroupRegister,
  /** What operators chose. */
  settings: GroupSettings,
  /** The other members, as last heard. */
  peers: z.array(PeerInfo),
  /** Keys that verify capabilities, newest first. */
  signingKeys: z.array(SigningKey),
  /** What this node proves to each other member; never shown to anybody. */
  peerKeys: z.array(PeerKey).max(GROUP_NODES_MAX).optional(),
  /** What an operator wants of this node. */
  mode: NodeRecord.shape.mode,
  /**
   * The node's database is an older copy than the one that reported last: what
   * it holds must be checked against the group before it counts.
   */
  isSetBack: z.literal(true).optional(),
  /** When to report again, in ms. */
  nextMs: z.int().min(100),
  /**
   * The tracker's wall clock, in ms since the Unix epoch: it gave the
   * capabilities, so its clock says when they end (promises.md F12).
   */
  clockMs: z.int().min(0).optional(),
});
/** What a tracker answers to a heartbeat. */
export type HeartbeatReply = z.infer<typeof HeartbeatReply>;

/** What a new node sends to become a member. */
export const JoinBody = z.object({
  /** One-time token from `kedge token create`. */
  token: z.string().min(16).max(200),
  /** Group to enter; the token may fix it. */
  group: GroupName.optional(),
  /**
   * Number that its database already has: a node whose identity was lost, or
   * whose tracker's store was, comes back with everything it holds.
   */
  node: NodeId.optional(),
  /** First report. */
  heartbeat: Heartbeat,
});
/** What a new node sends to become a member. */
export type JoinBody = z.infer<typeof JoinBody>;

/** What a new member gets, once. */
export const JoinReply = z.object({
  /** Its number from now on. */
  node: NodeId,
  /** Its group. */
  group: GroupName,
  /** Its password towards trackers: shown once, kept by the node alone. */
  credential: z.string().min(32),
  /** As for a heartbeat. */
  reply: HeartbeatReply,
});
/** What a new member gets, once. */
export type JoinReply = z.infer<typeof JoinReply>;
