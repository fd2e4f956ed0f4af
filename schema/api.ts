/**
 * Bodies of the public HTTP API, as zod schemas. `/openapi.json` is generated
 * from them.
 *
 * @module
 */

import { z } from "zod";
import { FileMeta } from "./change.ts";
import { GroupName, Level, NodeId } from "./group.ts";
import { FILE_NAME_BYTES_MAX } from "./limits.ts";
import { Heartbeat, NodeRecord } from "./node.ts";
import { GroupRegister, RegisterChange } from "./register.ts";

/** `POST /v1/uploads`: ask where to upload. */
export const PlaceUpload = z.object({
  /** Length of the file, in bytes, if known. */
  sizeBytes: z.int().min(0).optional(),
  /** Original name: data only. */
  name: z.string().max(FILE_NAME_BYTES_MAX).optional(),
  /** Group to use; the policy chooses when missing. */
  group: GroupName.optional(),
  /** Level to use; the group's setting when missing. */
  level: Level.optional(),
  /** Whether the file may be appended to later. */
  appender: z.boolean().optional(),
  /** SHA-256 that the content must have, in hex. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/).optional(),
});
/** `POST /v1/uploads`. */
export type PlaceUpload = z.infer<typeof PlaceUpload>;

/** Answer of `POST /v1/uploads`. */
export const PlacedUpload = z.object({
  /** `PUT` or `POST` the bytes here; the capability is in it. */
  url: z.url(),
  /** The same capability, for an `Authorization: Kedge …` header. */
  capability: z.string(),
  /** Group chosen. */
  group: GroupName,
  /** Node chosen. */
  node: NodeId,
  /** When the capability ends, RFC 3339. */
  expires: z.iso.datetime(),
});
/** Answer of `POST /v1/uploads`. */
export type PlacedUpload = z.infer<typeof PlacedUpload>;

/** Answer of an upload. */
export const Uploaded = z.object({
  /** File ID. */
  id: z.string(),
  /** Where to read it: the agent that took it. */
  url: z.string(),
  /** Length, in bytes. */
  size: z.int().min(0),
  /** SHA-256 of the content, in hex. */
  sha256: z.string().nullable(),
  /** Level that was reached: never more than was done. */
  level: Level,
  /** Nodes that hold it now. */
  holders: z.array(NodeId),
});
/** Answer of an upload. */
export type Uploaded = z.infer<typeof Uploaded>;

/** Answer of `GET /v1/files/ID/info`. */
export const FileInfo = z.object({
  id: z.string(),
  size: z.int().min(0),
  crc32: z.int().min(0),
  sha256: z.string().nullable(),
  type: z.string(),
  name: z.string().nullable(),
  created: z.iso.datetime(),
  origin: NodeId,
  group: GroupName,
  appender: z.boolean(),
  master: z.string().nullable(),
  version: z.int().min(1),
  meta: FileMeta,
});
/** Answer of `GET /v1/files/ID/info`. */
export type FileInfo = z.infer<typeof FileInfo>;

/** `POST /v1/groups/NAME/register`: an agent asks for a change. */
export const ChangeRegisterBody = z.object({
  /** Generation that the caller acts under. */
  gen: z.uuid(),
  /** Epoch that the caller decided under. */
  epoch: z.int().min(1),
  /** What it asks. */
  change: RegisterChange,
});
/** `POST /v1/groups/NAME/register`. */
export type ChangeRegisterBody = z.infer<typeof ChangeRegisterBody>;

/** A node as `GET /v1/nodes` lists it. */
export const NodeView = z.object({
  node: NodeId,
  group: GroupName,
  mode: NodeRecord.shape.mode,
  /** Whether it reported within `check_active_interval`. */
  alive: z.boolean(),
  /** Whether it is in its group's in-sync set. */
  insync: z.boolean(),
  /** Milliseconds since its last report; `null` is never. */
  silentMs: z.int().min(0).nullable(),
  /** Changes of others that it has not applied yet, as last reported. */
  lagChanges: z.int().min(0),
  /** Its last report. */
  report: Heartbeat.nullable(),
});
/** A node as `GET /v1/nodes` lists it. */
export type NodeView = z.infer<typeof NodeView>;

/** A group as `GET /v1/groups` lists it. */
export const GroupView = z.object({
  register: GroupRegister,
  level: Level,
  /** Capacity: that of its smallest member, in bytes. */
  totalBytes: z.int().min(0),
  /** Free space: that of its fullest member, in bytes. */
  freeBytes: z.int().min(0),
  /** Whether an upload could go there now. */
  writable: z.boolean(),
  nodes: z.array(NodeView),
});
/** A group as `GET /v1/groups` lists it. */
export type GroupView = z.infer<typeof GroupView>;
