/**
 * What a FastDFS gateway must know of the cluster: `GET /v1/fastdfs`.
 *
 * FastDFS asks a tracker before each upload. A gateway asks ours a few times a
 * second instead, and gets many draws of the placement policy at once, so that
 * the policy stays where it is and the trackers stay stateless.
 *
 * @module
 */

import { z } from "zod";
import { FastdfsStats } from "./fastdfs_stats.ts";
import { GroupName, NodeId } from "./group.ts";
import { NodeRecord, PeerAddress } from "./node.ts";
import { GroupRegister } from "./register.ts";

/** Draws of the policy over all groups in one view. */
export const DRAWS_MAX = 128;
/** Draws for one group, asked for by name. */
export const GROUP_DRAWS_MAX = 16;

/** Where one upload goes. */
export const FastdfsDraw = z.object({
  group: GroupName,
  node: NodeId,
  pathIndex: z.int().min(0).max(255),
});
/** Where one upload goes. */
export type FastdfsDraw = z.infer<typeof FastdfsDraw>;

/** A member of a group. */
export const FastdfsNode = z.object({
  node: NodeId,
  /** Where its gateway listens; `null` is that it has none. */
  address: PeerAddress.nullable(),
  alive: z.boolean(),
  insync: z.boolean(),
  mode: NodeRecord.shape.mode,
  joinedS: z.int().min(0),
  silentS: z.int().min(0),
  totalBytes: z.int().min(0),
  freeBytes: z.int().min(0),
  storePathCount: z.int().min(0),
  uploadPriority: z.int().min(0),
  version: z.string().max(40),
  /** Changes of others that it lacks, by the last reports. */
  lagChanges: z.int().min(0).optional(),
  /** What its gateway counted; older agents count nothing. */
  stats: FastdfsStats.optional(),
});
/** A member of a group. */
export type FastdfsNode = z.infer<typeof FastdfsNode>;

/** A group. */
export const FastdfsGroup = z.object({
  register: GroupRegister,
  totalBytes: z.int().min(0),
  freeBytes: z.int().min(0),
  reservedBytes: z.int().min(0),
  nodes: z.array(FastdfsNode),
  /** Draws within this group; none when nobody there takes uploads. */
  draws: z.array(FastdfsDraw).max(GROUP_DRAWS_MAX),
  /** Whether only the lack of room keeps it from taking uploads. */
  isFull: z.boolean(),
});
/** A group. */
export type FastdfsGroup = z.infer<typeof FastdfsGroup>;

/** The cluster, for a gateway. */
export const FastdfsView = z.object({
  groups: z.array(FastdfsGroup),
  /** Draws over all groups; none when nobody takes uploads. */
  draws: z.array(FastdfsDraw).max(DRAWS_MAX),
  /** How a store path is chosen; older trackers do not tell. */
  storePath: z.enum(["round_robin", "load_balance"]).optional(),
});
/** The cluster, for a gateway. */
export type FastdfsView = z.infer<typeof FastdfsView>;
