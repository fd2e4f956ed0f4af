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
import { GroupSettings, Heartbeat, NodeRecord, SmallFileMax } from "./node.ts";
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

/**
 * Whether a member holds the same files as the others: `behind` and `unknown`
 * are no faults, `differs` means that nothing is under way and they do not.
 */
export const Agreement = z.enum(["same", "behind", "differs", "unknown"]);
/** Whether a member holds the same files as the others. */
export type Agreement = z.infer<typeof Agreement>;

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
  /** Seconds until it has, at its present rate; `null` when unknown or none. */
  lagEtaS: z.int().min(0).nullable(),
  /** Whether it holds the same files as the others. */
  agreement: Agreement,
  /** Its last report. */
  report: Heartbeat.nullable(),
});
/** A node as `GET /v1/nodes` lists it. */
export type NodeView = z.infer<typeof NodeView>;

/** A group as `GET /v1/groups` lists it. */
export const GroupView = z.object({
  register: GroupRegister,
  level: Level,
  /** What its members pack; missing: as each agent's own setting says. */
  smallFileMax: SmallFileMax.optional(),
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

/** Answer of `GET /v1/groups`. */
export const GroupList = z.object({ groups: z.array(GroupView) });
/** Answer of `GET /v1/groups`. */
export type GroupList = z.infer<typeof GroupList>;

/** Answer of `GET /v1/nodes`. */
export const NodeList = z.object({ nodes: z.array(NodeView) });
/** Answer of `GET /v1/nodes`. */
export type NodeList = z.infer<typeof NodeList>;

/** What a caller with an API key may do. */
export const ApiRole = z.enum(["client", "operator"]);
/** What a caller with an API key may do. */
export type ApiRole = z.infer<typeof ApiRole>;

/** `POST /v1/tokens`: make a join token or an API key. */
export const CreateToken = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("join"),
    /** Group that the node must enter; any when missing. */
    group: GroupName.optional(),
    /** Whether a group that does not exist is created. */
    createGroup: z.boolean().default(false),
    /** Life, in seconds. */
    expiresS: z.int().min(1).max(30 * 86_400).default(86_400),
  }),
  z.strictObject({
    kind: z.literal("api"),
    /** For people: which application has it. */
    name: z.string().min(1).max(100),
    role: ApiRole.default("client"),
    /** Life, in seconds; for ever when missing. */
    expiresS: z.int().min(1).max(10 * 366 * 86_400).optional(),
  }),
]);
/** `POST /v1/tokens`: make a join token or an API key. */
export type CreateToken = z.input<typeof CreateToken>;

/** Answer of `POST /v1/tokens`: the only time the secret is shown. */
export const CreatedToken = z.object({
  kind: z.enum(["join", "api"]),
  /** The secret itself. */
  token: z.string(),
  /** SHA-256 of it in hex: its name in `/v1/tokens/HASH`. */
  hash: z.string(),
  /** When it ends, RFC 3339; `null` is never. */
  expires: z.iso.datetime().nullable(),
});
/** Answer of `POST /v1/tokens`: the only time the secret is shown. */
export type CreatedToken = z.infer<typeof CreatedToken>;

/** A join token or API key as `GET /v1/tokens` lists it. */
export const TokenView = z.object({
  kind: z.enum(["join", "api"]),
  hash: z.string(),
  /** Name of an API key. */
  name: z.string().nullable(),
  /** Role of an API key. */
  role: ApiRole.nullable(),
  /** Group of a join token. */
  group: GroupName.nullable(),
  created: z.iso.datetime(),
  expires: z.iso.datetime().nullable(),
  /** Node that a join token was used for. */
  usedBy: NodeId.nullable(),
});
/** A join token or API key as `GET /v1/tokens` lists it. */
export type TokenView = z.infer<typeof TokenView>;

/** Answer of `GET /v1/tokens`. */
export const TokenList = z.object({ tokens: z.array(TokenView) });
/** Answer of `GET /v1/tokens`. */
export type TokenList = z.infer<typeof TokenList>;

/** `POST /v1/nodes/N/mode`. */
export const ChangeMode = z.strictObject({
  mode: z.enum(["active", "drain", "draining", "read-only"]),
});
/** `POST /v1/nodes/N/mode`. */
export type ChangeMode = z.infer<typeof ChangeMode>;

/** `POST /v1/groups`. */
export const CreateGroup = z.strictObject({
  name: GroupName,
  settings: GroupSettings.prefault({}),
});
/** `POST /v1/groups`. */
export type CreateGroup = z.input<typeof CreateGroup>;

/** `PATCH /v1/groups/G`: what is missing stays as it is. */
export const ChangeSettings = z.strictObject({
  level: Level.optional(),
  fileBytesMax: z.int().min(1).optional(),
  /** `null`: every agent does as its own `small_file_max` says. */
  smallFileMax: SmallFileMax.nullable().optional(),
});
/** `PATCH /v1/groups/G`. */
export type ChangeSettings = z.infer<typeof ChangeSettings>;
