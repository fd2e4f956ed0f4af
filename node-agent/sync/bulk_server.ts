/**
 * What a peer may ask over a bulk connection that it has dialled: digests,
 * buckets, files, and to take bodies and entries from it.
 *
 * @module
 */

import type { GroupName, NodeId } from "@kedge/schema";
import { Problem } from "@kedge/schema";
import type { FileEntry } from "@kedge/schema/change";
import { parseFileId } from "@kedge/schema/file-id";
import type { Frame } from "@kedge/schema/wire/frame";
import { wrongEntryId } from "@kedge/schema/wire/records";
import {
  BucketRequest,
  CHUNK_BYTES,
  type ContentHead,
  ContentRequest,
  Entries,
  FILES_PER_REQUEST_MAX,
  type Given,
  type Refusal,
  Stage,
  type StagedOk,
} from "@kedge/schema/wire/sync";
import type { ChangeLog, LocalFiles, Log } from "../ports.ts";
import { BulkCall } from "./bulk_pool.ts";
import { ChunkSource } from "./content_transfer.ts";
import type { FrameLink } from "./frame_link.ts";
import type { StagedBodies } from "./staged_bodies.ts";

/** A page of entries is closed when its JSON reaches this length. */
const PAGE_LENGTH = 256 * 1024;

/** What {@linkcode BulkServer} works with. */
export interface BulkServerOptions {
  readonly group: GroupName;
  readonly files: LocalFiles;
  readonly log: ChangeLog;
  readonly logger: Log;
  readonly bodies: StagedBodies;
  /** Our epoch. */
  epoch(): number;
  /** Whether our index is whole, so that "never had it" counts. */
  isWhole(): boolean;
  /** Whether we may serve reads now. */
  serves(): boolean;
  /** Largest body that is taken, in bytes. */
  fileBytesMax(): number;
  /** The bytes of a file could not be read here. */
  broken(id: string): void;
  /** Take newer states from a peer, asking it for their bytes. */
  adoptFrom(peer: NodeId, entries: readonly FileEntry[]): Promise<Given>;
}

/** See the module comment. */
export class BulkServer {
  readonly #options: BulkServerOptions;

  /** A server of any number of connections. */
  constructor(options: BulkServerOptions) {
    this.#options = options;
  }

  /** Answer requests until the connection ends. */
  async serve(peer: NodeId, link: FrameLink): Promise<void> {
    const call = new BulkCall(link, () => this.#options.epoch());
    for (;;) {
      const frame = await link.receive();
      if (frame === undefined) return;
      try {
        await this.#answer(peer, call, frame);
      } catch (error) {
        this.#failed(peer, call, error);
        return;
      }
    }
  }

  #answer(peer: NodeId, call: BulkCall, frame: Frame): Promise<void> {
    switch (frame.kind) {
      case "digests-request":
        return this.#digests(call);
      case "bucket-request":
        return this.#bucket(call, call.parse(BucketRequest, frame).index);
      case "content-request":
        return this.#content(call, call.parse(ContentRequest, frame));
      case "stage":
        return this.#stage(call, call.parse(Stage, frame).sizeBytesMax);
      case "give":
        return this.#give(peer, call, call.parse(Entries, frame).entries);
      default:
        throw new Error(`${frame.kind} is not a request`);
    }
  }

  async #digests(call: BulkCall): Promise<void> {
    const digests = await this.#options.log.digests();
    const bytes = new Uint8Array(digests.length * 4);
    const view = new DataView(bytes.buffer);
    digests.forEach((digest, index) => view.setUint32(index * 4, digest));
    call.sayBytes("digests", bytes);
  }

  async #bucket(call: BulkCall, index: number): Promise<void> {
    const entries = await this.#options.log.bucket(index);
    for (const page of pagesOf(entries)) {
      await call.link.room();
      call.say("bucket", { entries: page });
    }
    call.say("end", { ok: true });
  }

  async #content(call: BulkCall, request: ContentRequest): Promise<void> {
    const { files } = this.#options;
    for (const id of request.ids) {
      if (parseFileId(id) === undefined) throw new Error("a malformed file ID");
      const entry = files.lookup(id) ?? null;
      if (entry?.state !== "present" || !request.content) {
        this.#head(call, { id, entry, follows: false, damaged: false });
      } else await this.#file(call, entry);
      await call.link.room();
      if (call.link.closedWhy !== undefined) return;
    }
  }

  async #file(call: BulkCall, entry: FileEntry): Promise<void> {
    const { id } = entry;
    let content: Awaited<ReturnType<LocalFiles["read"]>>;
    try {
      content = await this.#options.files.read(entry);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.#options.broken(id);
      this.#head(call, { id, entry, follows: false, damaged: true });
      return;
    }
    this.#head(call, { id, entry, follows: true, damaged: false });
    const ok = content instanceof Uint8Array
      ? await sendBytes(call, content)
      : await this.#sendStream(call, content, id);
    call.say("end", { ok });
  }

  async #sendStream(
    call: BulkCall,
    content: ReadableStream<Uint8Array>,
    id: string,
  ): Promise<boolean> {
    try {
      for await (const bytes of content) {
        if (!await sendBytes(call, bytes)) return false;
      }
      return true;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.#options.broken(id);
      return false;
    }
  }

  async #stage(call: BulkCall, sizeBytesMax: number): Promise<void> {
    const { files, bodies, fileBytesMax } = this.#options;
    if (!bodies.hasRoom) throw new Problem("unavailable", "Too many bodies");
    const source = new ChunkSource(call);
    try {
      const staged = await files.stage({
        body: source.stream(),
        sizeBytesMax: Math.min(sizeBytesMax, fileBytesMax()),
      });
      bodies.add(staged);
      const { sizeBytes, sha256 } = staged;
      const answer: StagedOk = { sizeBytes, sha256 };
      call.say("staged", answer);
    } catch (error) {
      if (!source.isRefused) throw error; // otherwise the sender gave it up
    }
  }

  async #give(
    peer: NodeId,
    call: BulkCall,
    entries: readonly FileEntry[],
  ): Promise<void> {
    for (const entry of entries) {
      const wrong = wrongEntryId(entry.id, this.#options.group);
      if (wrong !== undefined) throw new Error(wrong);
    }
    call.say("given", await this.#options.adoptFrom(peer, entries));
  }

  #head(
    call: BulkCall,
    head: Omit<ContentHead, "whole" | "serves" | "usedKey">,
  ): void {
    const whole = this.#options.isWhole();
    const serves = this.#options.serves();
    const usedKey = head.entry === null
      ? undefined
      : this.#options.log.usedKey(head.id);
    const said: ContentHead = { ...head, whole, serves };
    call.say(
      "content-head",
      usedKey === undefined ? said : { ...said, usedKey },
    );
  }

  #failed(peer: NodeId, call: BulkCall, error: unknown): void {
    const { link } = call;
    if (link.closedWhy !== undefined) return; // the connection was the failure
    const why = error instanceof Error ? error.message : String(error);
    const reason = error instanceof Problem ? "storage" : "protocol";
    const refusal: Refusal = { reason, detail: why.slice(0, 300) };
    call.say("refusal", refusal);
    link.end(why);
    this.#options.logger.warn("a bulk request failed", { peer, why });
  }
}

/** Send bytes in chunks; `false` once the connection is gone. */
export async function sendBytes(
  call: BulkCall,
  bytes: Uint8Array,
): Promise<boolean> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    call.sayBytes("chunk", bytes.subarray(at, at + CHUNK_BYTES));
    await call.link.room();
  }
  return call.link.closedWhy === undefined;
}

function* pagesOf(entries: readonly FileEntry[]): Generator<FileEntry[]> {
  let page: FileEntry[] = [];
  let length = 0;
  for (const entry of entries) {
    const entryLength = JSON.stringify(entry).length;
    const isFull = page.length === FILES_PER_REQUEST_MAX ||
      length + entryLength > PAGE_LENGTH;
    if (isFull && page.length > 0) {
      yield page;
      page = [];
      length = 0;
    }
    page.push(entry);
    length += entryLength;
  }
  if (page.length > 0) yield page;
}
