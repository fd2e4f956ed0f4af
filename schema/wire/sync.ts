/**
 * Bodies of all other frames between agents: JSON, checked with zod on receipt.
 *
 * A *control* connection carries both nodes' logs, their acknowledgements and
 * the register; a *bulk* connection carries one request and its answer at a
 * time.
 *
 * ```text
 * dialer                         acceptor
 * hello      ─────────────────▶  (nothing else is read before)
 *            ◀─────────────────  challenge  (proves the secret)
 * proof      ─────────────────▶             (proves the secret)
 * state      ◀────────────────▶  state      (control only)
 *
 * control, either way: register records ack reject join-request promise
 *                      ping pong refusal report-request report
 *
 * bulk, dialer asks:
 * digests-request ────────────▶  digests
 * bucket-request  ────────────▶  bucket … (several pages) end
 * content-request ────────────▶  per file: content-head [chunk … end]
 * stage chunk … end ──────────▶  staged
 * give            ────────────▶  given
 * any             ────────────▶  refusal
 * ```
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { z } from "zod";
import { FileEntry } from "../change.ts";
import { GroupName, NodeId, StoreId } from "../group.ts";
import { INLINE_BODY_BYTES_MAX } from "../limits.ts";
import { GroupRegister } from "../register.ts";
import { SyncPosition } from "../node.ts";
import type { Decoded } from "./records.ts";

/** Version of what is said; raised when old agents would misunderstand. */
export const SYNC_VERSION = 1;

/** Longest body, in bytes, that is read from a peer that proved nothing yet. */
export const GREETING_BYTES_MAX = 4096;

/** Most files that one `content-request` or `give` names. */
export const FILES_PER_REQUEST_MAX = 256;

/** Bytes of content in one `chunk`. */
export const CHUNK_BYTES: number = 256 * 1024;

const Nonce = z.string().regex(/^[A-Za-z0-9_-]{43}$/);
const Mac = z.string().regex(/^[A-Za-z0-9_-]{43}$/);

/** First frame of a connection. */
export const Hello = z.object({
  /** {@linkcode SYNC_VERSION} of the dialer. */
  version: z.int().min(1),
  /** The dialer. */
  node: NodeId,
  /** The node that it means to reach. */
  to: NodeId,
  /** Its group. */
  group: GroupName,
  /** Identity of its database. */
  store: StoreId,
  /** Made anew by every process. */
  boot: z.uuid(),
  /** What the connection is for. */
  purpose: z.enum(["control", "bulk"]),
  /** 32 random bytes, base64url. */
  nonce: Nonce,
});
/** First frame of a connection. */
export type Hello = z.infer<typeof Hello>;

/** Answer to a hello. */
export const Challenge = z.object({
  version: z.int().min(1),
  node: NodeId,
  store: StoreId,
  boot: z.uuid(),
  nonce: Nonce,
  /** Proves that the acceptor knows the secret. */
  mac: Mac,
});
/** Answer to a hello. */
export type Challenge = z.infer<typeof Challenge>;

/** Proves that the dialer knows the secret. */
export const Proof = z.object({ mac: Mac });
/** Proves that the dialer knows the secret. */
export type Proof = z.infer<typeof Proof>;

/** What each side of a control connection starts with. */
export const LinkState = z.object({
  /** The register that it acts under. */
  register: GroupRegister,
  /** How far it has applied the receiver's log; flushed. */
  positions: z.array(SyncPosition).max(4096),
  /** Its own log. */
  incarnation: z.int().min(1),
  /** Its records up to here are forgotten; missing when none are. */
  cut: z.object({ incarnation: z.int().min(1), sequence: z.int().min(1) })
    .optional(),
  /**
   * Most bytes that it takes within a record; missing is
   * `INLINE_BODY_BYTES_MAX`, as agents from before this field.
   */
  recordBytesMax: z.int().min(INLINE_BODY_BYTES_MAX).optional(),
});
/** What each side of a control connection starts with. */
export type LinkState = z.infer<typeof LinkState>;

/** Why nothing more is said, or why a request is not done. */
export const Refusal = z.object({
  reason: z.enum([
    "version",
    "group",
    "not-a-member",
    "wrong-node",
    "busy",
    "protocol",
    "storage",
    "stopping",
  ]),
  /** A sentence for the other side's log. */
  detail: z.string().max(300),
});
/** Why nothing more is said, or why a request is not done. */
export type Refusal = z.infer<typeof Refusal>;

/** Asks a peer to wait for our answers, or promises that. */
export const EpochBody = z.object({ epoch: z.int().min(1) });
/** Asks a peer to wait for our answers, or promises that. */
export type EpochBody = z.infer<typeof EpochBody>;

/** Most runs of a log that a {@linkcode LogReportBody} tells of. */
export const REPORT_ENDS_MAX = 4096;
/** Most positions in a {@linkcode LogReportBody}: it must fit a frame. */
export const REPORT_POSITIONS_MAX = 8192;

/** Asks how far the logs are, before tombstones are forgotten. */
export const ReportRequest = z.object({
  /** Comes back with the answer. */
  number: z.int().min(1),
});
/** Asks how far the logs are. */
export type ReportRequest = z.infer<typeof ReportRequest>;

/** How far the logs are, looked at after the request came. */
export const LogReportBody = z.object({
  /** Of the request. */
  number: z.int().min(1),
  /** End of each run of the sender's own log: the last number given out. */
  ends: z.array(SyncPosition).max(REPORT_ENDS_MAX),
  /** How far it holds every member's log durably, its own included. */
  positions: z.array(SyncPosition).max(REPORT_POSITIONS_MAX),
});
/** How far the logs are. */
export type LogReportBody = z.infer<typeof LogReportBody>;

/** Asks for the entries of one bucket. */
export const BucketRequest = z.object({ index: z.int().min(0).max(4095) });
/** Asks for the entries of one bucket. */
export type BucketRequest = z.infer<typeof BucketRequest>;

/** A page of entries, tombstones too. */
export const Entries = z.object({
  entries: z.array(FileEntry).max(FILES_PER_REQUEST_MAX),
});
/** A page of entries. */
export type Entries = z.infer<typeof Entries>;

/** Asks for files, or only whether they are there. */
export const ContentRequest = z.object({
  ids: z.array(z.string().max(160)).min(1).max(FILES_PER_REQUEST_MAX),
  /** Whether the bytes are wanted too. */
  content: z.boolean(),
});
/** Asks for files, or only whether they are there. */
export type ContentRequest = z.infer<typeof ContentRequest>;

/** What the asked node has of one file; chunks follow when `follows`. */
export const ContentHead = z.object({
  id: z.string().max(160),
  /** `null`: never had it. */
  entry: FileEntry.nullable(),
  /** Whether `chunk … end` follow. */
  follows: z.boolean(),
  /** Whether the index has it but the bytes are missing or wrong. */
  damaged: z.boolean(),
  /** Whether the index is whole, so that "never had it" counts. */
  whole: z.boolean(),
  /** Whether it may serve reads now: it would know of a delete. */
  serves: z.boolean(),
  /** The `Idempotency-Key` that made it, if it is remembered. */
  usedKey: z.object({
    key: z.string().regex(/^[\x21-\x7e]{1,255}$/),
    sha256: z.string().regex(/^([0-9a-f]{64})?$/),
    epoch: z.int().min(0),
  }).optional(),
});
/** What the asked node has of one file. */
export type ContentHead = z.infer<typeof ContentHead>;

/** End of chunks or of an answer. `ok` false: what came must not be used. */
export const End = z.object({ ok: z.boolean() });
/** End of chunks or of an answer. */
export type End = z.infer<typeof End>;

/** Announces a body that a record will name by its SHA-256 and size. */
export const Stage = z.object({
  /** Most bytes that will come. */
  sizeBytesMax: z.int().min(0),
});
/** Announces a body that a record will name. */
export type Stage = z.infer<typeof Stage>;

/** The body is staged here. */
export const StagedOk = z.object({
  sizeBytes: z.int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
/** The body is staged here. */
export type StagedOk = z.infer<typeof StagedOk>;

/** How many of the given entries were taken, or known already. */
export const Given = z.object({
  taken: z.int().min(0),
  missing: z.int().min(0),
});
/** How many of the given entries were taken. */
export type Given = z.infer<typeof Given>;

/** Encode a body of this module. */
export function encodeText(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

/**
 * Decode and check a body of this module.
 *
 * @param schema What it must be.
 * @param body The body of a frame.
 */
export function decodeText<T>(
  schema: z.ZodType<T>,
  body: Uint8Array,
): Decoded<T> {
  try {
    const text = Buffer.from(body.buffer, body.byteOffset, body.length)
      .toString("utf8");
    const parsed = schema.safeParse(JSON.parse(text));
    if (parsed.success) return { ok: true, value: parsed.data };
    const at = parsed.error.issues[0]?.path.join(".") ?? "";
    return { ok: false, fault: `the field "${at.slice(0, 80)}" is not valid` };
  } catch {
    return { ok: false, fault: "the body is not JSON" };
  }
}
