/**
 * States of files in memory: what changes make of them, how records and digests
 * tell them. Nothing here remembers anything.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import { type NodeId, Problem, type StorePathReport } from "@kedge/schema";
import type { FileEntry } from "@kedge/schema/change";
import { encodeFileName } from "@kedge/schema/file-id";
import type {
  LogRecordWithContent,
  Staged,
  StageRequest,
} from "../../node-agent/ports.ts";

const BUCKETS = 4096;
/** Larger bodies are staged, in bytes. */
export const INLINE_BYTES_MAX = 64 * 1024;

/** A file in memory. */
export interface Held {
  entry: FileEntry;
  /** `undefined`: the index knows the file, the bytes are missing. */
  bytes: Uint8Array | undefined;
  /** Order in which states were stored. */
  stamp: number;
}

/** What a test may make go wrong. */
export interface MemoryStoreFaults {
  /** Thrown by every write from now on. */
  write?: Error | undefined;
  /** State of the only store path. */
  path?: StorePathReport["state"] | undefined;
  /** Asked before bytes are taken in. */
  stage?: (() => Promise<void>) | undefined;
  /** Every write waits for this first. */
  delay?: (() => Promise<void>) | undefined;
}

/** The content of a file after a change; `undefined` is not known. */
export function contentAfter(
  held: Held | undefined,
  body: LogRecordWithContent["change"]["body"],
  { entry, bytes }: { entry: FileEntry; bytes: Uint8Array | undefined },
): Uint8Array | undefined {
  if (body.kind === "none") return held?.bytes;
  if (body.kind === "whole") {
    return entry.sizeBytes === 0 ? new Uint8Array(0) : bytes;
  }
  if (held?.bytes === undefined) return undefined;
  const next = new Uint8Array(entry.sizeBytes);
  next.set(held.bytes.subarray(0, entry.sizeBytes));
  if (body.kind === "truncate") return next;
  if (bytes === undefined) return undefined;
  next.set(bytes, body.offset);
  return next;
}

/** A record as what its file is now. */
export function recordNow(
  record: LogRecordWithContent,
  entry: FileEntry | undefined,
): LogRecordWithContent {
  const { sequence, change } = record;
  if (entry?.state === "present") return record;
  const none = { body: { kind: "none" }, content: { kind: "none" } } as const;
  const { body, content } = none;
  return entry === undefined
    ? {
      sequence,
      change: { entry: change.entry, body },
      content,
      isHole: true,
    }
    : { sequence, change: { ...change, entry, body }, content };
}

/** One digest per bucket over these states. */
export function digestsOf(entries: readonly FileEntry[]): Uint32Array {
  const digests = new Uint32Array(BUCKETS);
  for (const { id, state, epoch, version } of entries) {
    const line = `${id} ${state} ${epoch} ${version}`;
    const bucket = bucketOf(id);
    digests[bucket] = (digests[bucket] ?? 0) ^ crc32(line);
  }
  return digests;
}

/** What the log keeps of a record: small bytes only. */
export function small(record: LogRecordWithContent): LogRecordWithContent {
  const { content } = record;
  if (content.kind !== "staged") return record;
  const { inline } = content.staged;
  return {
    ...record,
    content: inline === undefined
      ? { kind: "none" }
      : { kind: "inline", bytes: inline },
  };
}

/** Where a file counts in the digests. */
export function bucketOf(id: string): number {
  return crc32(Buffer.from(id)) % BUCKETS;
}

/** All bytes of a body; its relay gets them too. */
export async function collect(
  request: StageRequest,
): Promise<Uint8Array<ArrayBuffer>> {
  const { body, relay, sizeBytesMax } = request;
  const pieces: Uint8Array[] = [];
  if (body instanceof Uint8Array) pieces.push(body);
  else for await (const piece of body) pieces.push(piece);
  const bytes = new Uint8Array(Buffer.concat(pieces));
  if (bytes.length > sizeBytesMax) throw new Problem("too-large", "Too large");
  if (relay !== undefined && bytes.length > INLINE_BYTES_MAX) {
    for (let at = 0; at < bytes.length; at += INLINE_BYTES_MAX) {
      await relay.write(bytes.subarray(at, at + INLINE_BYTES_MAX));
    }
    await relay.finish();
  }
  return bytes;
}

/** A file ID of group1 that a node gives out once per number. */
export function idOf(
  origin: NodeId,
  random: number,
  { staged, extension, appender }: {
    staged: Staged;
    extension: string;
    appender: boolean;
  },
): string {
  const name = encodeFileName({
    origin,
    createdS: 1_790_000_000,
    sizeBytes: staged.sizeBytes,
    crc32: staged.crc32,
    appender,
    random: random & 0x7f_ffff,
    digits: 0,
    extension,
  });
  return `group1/M00/00/00/${name}`;
}
