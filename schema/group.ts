/**
 * Names and numbers that everything else is made of: nodes, groups, levels.
 *
 * @module
 */

import { z } from "zod";
import { NODE_ID_MAX } from "./limits.ts";

/** The number of a node. Given by the tracker at join, never reused. */
export const NodeId = z.int().min(1).max(NODE_ID_MAX)
  .describe("Number of a node, given at join and never reused");
/** The number of a node. */
export type NodeId = z.infer<typeof NodeId>;

/** The name of a storage group. Source: fastdfs-protocol.md §1. */
export const GroupName = z.string().regex(/^[A-Za-z0-9]{1,16}$/)
  .describe("Name of a storage group: 1 to 16 letters and digits");
/** The name of a storage group. */
export type GroupName = z.infer<typeof GroupName>;

/**
 * Replication level, DRBD's choice for files: `A` this node has it, `B` every
 * in-sync peer has it too, `C` it is durable on all of them. promises.md §2.2.
 */
export const Level = z.enum(["A", "B", "C"])
  .describe("Replication level: A here, B on the peers, C durable on all");
/** Replication level. */
export type Level = z.infer<typeof Level>;

/** Identity of one node's database; a wiped node comes back with another. */
export const StoreId = z.uuid().describe("Identity of a node's database");
/** Identity of one node's database. */
export type StoreId = z.infer<typeof StoreId>;
