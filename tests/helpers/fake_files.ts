/**
 * Files in memory that behave like those on disk, and a clock that a test moves.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { INLINE_BODY_BYTES_MAX, Problem } from "@kedge/schema";
import type { NodeId, StorePathReport } from "@kedge/schema";
import { compareEntries } from "@kedge/schema/change";
import type { Change, FileEntry } from "@kedge/schema/change";
import { encodeFileId, encodeFileName } from "@kedge/schema/file-id";
import type {
  ByteSpan,
  Clock,
  ContentEdit,
  ContentSource,
  LocalFiles,
  RememberedUpload,
  Staged,
  StageRequest,
} from "../../node-agent/ports.ts";

/** Group of every fake. */
export const GROUP = "group1";
/** Reads above this size are streams, as from the real store. */
const BUFFER_BYTES_MAX = 64 * 1024;
const STREAM_CHUNK_BYTES = 64 * 1024;

/** A clock that a test moves. */
export class FakeClock implements Clock {
  /** Monotonic time, in ms. */
  nowMs = 0;
  /** Wall clock at monotonic 0, in ms since the Unix epoch. */
  startMs: number = Date.UTC(2026, 10, 22, 8);

  /** Monotonic time, in ms. */
  monotonicMs(): number {
    return this.nowMs;
  }

  /** Wall clock, in ms since the Unix epoch. */
  wallMs(): number {
    return this.startMs + this.nowMs;
  }
}

interface Stored {
  entry: FileEntry;
  bytes: Uint8Array<ArrayBuffer>;
}

/** Files in memory. */
export class FakeFiles implements LocalFiles {
  /** Files and tombstones by ID. */
  readonly stored: Map<string, Stored> = new Map();
  /** Bytes staged and neither committed nor discarded, by token. */
  readonly staging: Map<string, Uint8Array<ArrayBuffer>> = new Map();
  /** Keys that were used. */
  readonly keys: Map<string, RememberedUpload> = new Map();
  /** Every ID that {@linkcode lookup} was asked for. */
  readonly lookups: string[] = [];
  /** Thrown by the next {@linkcode stage}. */
  stageFailure: Problem | undefined;
  /** Reads break off after this many bytes of a stream. */
  breakAfterBytes: number | undefined;
  readonly #node: NodeId;
  readonly #clock: Clock;
  #counter = 0;

  /** No files yet. */
  constructor(node: NodeId, clock: Clock) {
    this.#node = node;
    this.#clock = clock;
  }

  /** Take bytes in. */
  async stage(request: StageRequest): Promise<Staged> {
    if (this.stageFailure !== undefined) throw this.stageFailure;
    const token = `stage-${++this.#counter}`;
    this.staging.set(token, new Uint8Array());
    try {
      const bytes = await collect(request);
      await request.relay?.finish();
      this.staging.set(token, bytes);
      const { inlineBytesMax = INLINE_BODY_BYTES_MAX } = request;
      const isInline = bytes.length <= inlineBytesMax;
      if (isInline) this.staging.delete(token);
      return {
        token: isInline ? "" : token,
        pathIndex: request.pathIndex ?? 0,
        sizeBytes: bytes.length,
        crc32: crc32(bytes),
        sha256: createHash("sha256").update(bytes).digest("hex"),
        inline: isInline ? bytes : undefined,
      };
    } catch (error) {
      request.relay?.abort();
      this.staging.delete(token);
      throw error;
    }
  }

  /** Forget staged bytes. */
  discard(staged: Staged): Promise<void> {
    this.staging.delete(staged.token);
    return Promise.resolve();
  }

  /** A new ID. */
  newId(options: {
    readonly staged: Staged;
    readonly extension: string;
    readonly appender: boolean;
  }): string {
    const { staged, extension, appender } = options;
    const random = ++this.#counter;
    const name = encodeFileName({
      origin: this.#node,
      createdS: Math.floor(this.#clock.wallMs() / 1000),
      sizeBytes: staged.sizeBytes,
      crc32: staged.crc32,
      appender,
      random,
      digits: random,
      extension,
    });
    const { pathIndex } = staged;
    return encodeFileId({ group: GROUP, pathIndex, high: 0, low: 0 }, name);
  }

  /** Length and CRC-32 after an edit. */
  foresee(
    entry: FileEntry,
    edit: ContentEdit,
  ): Promise<{ readonly sizeBytes: number; readonly crc32: number }> {
    const before = this.stored.get(entry.id)?.bytes;
    if (before === undefined || crc32(before) !== entry.crc32) {
      return Promise.reject(new Problem("damaged", "The copy is wrong"));
    }
    const sizeBytes = edit.kind === "truncate"
      ? edit.sizeBytes
      : Math.max(before.length, edit.offset + edit.staged.sizeBytes);
    const after = new Uint8Array(sizeBytes);
    after.set(before.subarray(0, sizeBytes));
    if (edit.kind === "range") {
      const { staged } = edit;
      const bytes = staged.inline ?? this.staging.get(staged.token);
      if (bytes === undefined) throw new Error("staged bytes are gone");
      after.set(bytes, edit.offset);
    }
    return Promise.resolve({ sizeBytes, crc32: crc32(after) });
  }

  /** What is known of a file. */
  lookup(id: string): FileEntry | undefined {
    this.lookups.push(id);
    return this.stored.get(id)?.entry;
  }

  /** The content, checked. */
  read(
    entry: FileEntry,
    span?: ByteSpan,
  ): Promise<
    Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>>
  > {
    const stored = this.stored.get(entry.id);
    const { from, lengthBytes } = span ??
      { from: 0, lengthBytes: entry.sizeBytes };
    if (stored === undefined || crc32(stored.bytes) !== stored.entry.crc32) {
      return Promise.reject(new Problem("damaged", "The copy is wrong"));
    }
    const part = stored.bytes.subarray(from, from + lengthBytes);
    if (part.length !== lengthBytes) {
      return Promise.reject(new Problem("damaged", "The copy is short"));
    }
    if (lengthBytes <= BUFFER_BYTES_MAX) return Promise.resolve(part);
    return Promise.resolve(this.#stream(part));
  }

  /** Entries in ID order. */
  list(query: {
    readonly prefix?: string | undefined;
    readonly after?: string | undefined;
    readonly sinceS?: number | undefined;
    readonly untilS?: number | undefined;
    readonly limit: number;
  }): FileEntry[] {
    return [...this.stored.values()].map((stored) => stored.entry)
      .filter((entry) =>
        entry.state === "present" &&
        entry.id.startsWith(query.prefix ?? "") &&
        entry.id > (query.after ?? "") &&
        entry.createdS >= (query.sinceS ?? 0) &&
        entry.createdS <= (query.untilS ?? Infinity)
      )
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .slice(0, query.limit);
  }

  /** Whether a key was used. */
  remembered(idempotencyKey: string): RememberedUpload | undefined {
    return this.keys.get(idempotencyKey);
  }

  /** One disk. */
  storePaths(): StorePathReport[] {
    return [{ index: 0, totalBytes: 1e9, freeBytes: 1e9, state: "writable" }];
  }

  /** Present files. */
  fileCount(): number {
    return this.list({ limit: Infinity }).length;
  }

  /** None. */
  alarms(): string[] {
    return [];
  }

  /** Make a change visible, as the real store does after logging it. */
  apply(change: Change, content: ContentSource): void {
    const { entry, body } = change;
    const old = this.stored.get(entry.id);
    if (old !== undefined && compareEntries(entry, old.entry) <= 0) return;
    const before = old?.bytes ?? new Uint8Array();
    const bytes = this.#contentOf(content);
    this.stored.set(entry.id, { entry, bytes: changed(before, change, bytes) });
    if (body.kind === "whole" || body.kind === "range") return;
    if (content.kind !== "none") throw new Error("content without a use");
  }

  /** Lose the copy and all knowledge of a file. */
  forget(id: string): FileEntry | undefined {
    const entry = this.stored.get(id)?.entry;
    this.stored.delete(id);
    return entry;
  }

  /** Flip a bit of the stored copy. */
  damage(id: string): void {
    const bytes = this.stored.get(id)?.bytes;
    if (bytes === undefined) throw new Error(`no file ${id}`);
    const copy = bytes.slice();
    copy[0] = (copy[0] ?? 0) ^ 1;
    const stored = this.stored.get(id);
    if (stored !== undefined) stored.bytes = copy;
  }

  #contentOf(content: ContentSource): Uint8Array<ArrayBuffer> {
    if (content.kind === "none") return new Uint8Array();
    if (content.kind === "inline") return content.bytes.slice();
    const bytes = this.staging.get(content.staged.token);
    if (bytes === undefined) throw new Error("staged bytes are gone");
    this.staging.delete(content.staged.token);
    return bytes;
  }

  #stream(
    bytes: Uint8Array<ArrayBuffer>,
  ): ReadableStream<Uint8Array<ArrayBuffer>> {
    let at = 0;
    return new ReadableStream({
      pull: (controller) => {
        if (at >= (this.breakAfterBytes ?? Infinity)) {
          controller.error(new Problem("damaged", "A later block is wrong"));
          return;
        }
        if (at >= bytes.length) return controller.close();
        const end = Math.min(at + STREAM_CHUNK_BYTES, bytes.length);
        controller.enqueue(bytes.subarray(at, end));
        at = end;
      },
    });
  }
}

async function collect(
  request: StageRequest,
): Promise<Uint8Array<ArrayBuffer>> {
  const { body, sizeBytesMax, relay } = request;
  if (body instanceof Uint8Array) {
    if (body.length > sizeBytesMax) throw tooLarge();
    return body.slice();
  }
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += chunk.length;
    if (sizeBytes > sizeBytesMax) throw tooLarge();
    await relay?.write(chunk);
    chunks.push(chunk.slice());
  }
  const bytes = new Uint8Array(sizeBytes);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function tooLarge(): Problem {
  return new Problem("too-large", "The body is larger than allowed");
}

/** The bytes of a file after a change; checks what the real store checks. */
function changed(
  before: Uint8Array<ArrayBuffer>,
  { entry, body }: Change,
  bytes: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  if (entry.state === "tombstone") return new Uint8Array();
  if (body.kind === "none") return before;
  let after = bytes;
  if (body.kind !== "whole") {
    after = new Uint8Array(entry.sizeBytes);
    after.set(before.subarray(0, entry.sizeBytes));
  }
  if (body.kind === "range") after.set(bytes, body.offset);
  if (after.length !== entry.sizeBytes) throw new Error("size does not fit");
  if (crc32(after) !== entry.crc32) throw new Error("CRC does not fit");
  return after;
}
