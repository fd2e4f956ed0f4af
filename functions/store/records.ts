/**
 * Values of the KV store that only the tracker reads and writes.
 *
 * @module
 */

import { ApiRole, GroupName, NodeId, StoreId } from "@kedge/schema";
import { z } from "zod";

/** What all trackers share; made once by the first of them. */
export const ClusterRecord = z.object({
  /** Generation of the KV: new when the KV is created or restored. */
  gen: z.uuid(),
  /** Secret that agents prove to each other, 32 bytes in base64url. */
  clusterSecret: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  /** When it was made, in ms since the Unix epoch. */
  createdMs: z.int().min(0),
});
/** What all trackers share. */
export type ClusterRecord = z.infer<typeof ClusterRecord>;

/** A join token; its key is the SHA-256 of its text. */
export const JoinToken = z.object({
  /** Group that the node must enter; `null` is any. */
  group: GroupName.nullable(),
  /** Whether the group is created when there is none. */
  createGroup: z.boolean(),
  /** When it was made, in ms since the Unix epoch. */
  createdMs: z.int().min(0),
  /** When it ends, in ms since the Unix epoch. */
  expiresMs: z.int().min(0),
  /**
   * Set in the commit that makes the node. The same database may ask again
   * until its first heartbeat, because the answer may have been lost.
   */
  used: z.object({ node: NodeId, store: StoreId }).nullable(),
});
/** A join token. */
export type JoinToken = z.infer<typeof JoinToken>;

/** An API key; its key is the SHA-256 of its text. */
export const ApiKey = z.object({
  /** For people: which application has it. */
  name: z.string().max(100),
  /** What it may do. */
  role: ApiRole,
  /** When it was made, in ms since the Unix epoch. */
  createdMs: z.int().min(0),
  /** When it ends, in ms since the Unix epoch; `null` is never. */
  expiresMs: z.int().min(0).nullable(),
});
/** An API key. */
export type ApiKey = z.infer<typeof ApiKey>;

/** A host that mirrors volumes and stores no files. */
export const MirrorNodeRecord = z.object({
  /** Which node. */
  node: NodeId,
  /** Its host's name, for people. */
  name: z.string().max(64),
  /** SHA-256 of its credential, in hex: the credential itself is not kept. */
  credentialHash: z.string().regex(/^[0-9a-f]{64}$/),
  /** When it joined, in ms since the Unix epoch. */
  joinedMs: z.int().min(0),
});
/** A host that mirrors volumes and stores no files. */
export type MirrorNodeRecord = z.infer<typeof MirrorNodeRecord>;
