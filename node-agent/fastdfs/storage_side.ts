/**
 * What a storage answers: FastDFS's commands on files, as operations on ours.
 *
 * Where it differs from FastDFS on purpose: a file of no bytes can be
 * downloaded, a change that was sent to another member than the owner is made at
 * the owner, and an answer is an acknowledgement at the level of the group.
 * Source of the layouts: fastdfs-protocol.md §5.
 *
 * @module
 */

import {
  APPEND_HEAD_BYTES,
  COMMAND,
  DOWNLOAD_HEAD_BYTES,
  type DownloadHead,
  encodeFileId,
  encodeFileInfo,
  encodeMetadata,
  GROUP_BYTES,
  META_HEAD_BYTES,
  MODIFY_HEAD_BYTES,
  NAME_BYTES_MAX,
  type NamedFile,
  readDownload,
  readMetadata,
  readMetaHead,
  readModifyHead,
  readName,
  readNamedFile,
  readSizedHead,
  readSlaveHead,
  readUploadHead,
  SLAVE_HEAD_BYTES,
  STATUS,
  UPLOAD_HEAD_BYTES,
} from "@kedge/schema/wire/fastdfs";
import { RECORD_BODY_BYTES_MAX } from "@kedge/schema";
import type { FileEntry } from "@kedge/schema/change";
import { isExtension } from "@kedge/schema/file-id";
import type { FileOperations } from "../operation_ports.ts";
import type { ByteSpan } from "../ports.ts";
import type { ClientBodies } from "../client_bodies.ts";
import { whenHere } from "../when_here.ts";
import type { ClusterSight } from "./cluster_sight.ts";
import {
  CONTENT_PIECE_BYTES,
  contentPieces,
  withoutBlock,
} from "../content_pieces.ts";
import type { Handler, Reply, WireRequest } from "./wire_request.ts";

/** Longest metadata that is taken, in bytes: 64 entries at their longest. */
const META_BYTES_MAX = 64 * 1024;
const NAMED_BYTES_MAX = GROUP_BYTES + NAME_BYTES_MAX;

/** What the storage side works with. */
export interface StorageSideDeps {
  readonly group: string;
  readonly operations: FileOperations;
  readonly cluster: ClusterSight;
  readonly isReadOnly: boolean;
  /** Memory for what clients upload. */
  readonly bodies: ClientBodies;
  /** Number of store paths here. */
  readonly pathCount: () => number;
}

const OK: Reply = { status: STATUS.ok };
/** A storage of FastDFS closes the connection after this one. */
const INVALID: Reply = { status: STATUS.invalid, end: "after" };

const CHANGES: ReadonlySet<number> = new Set([
  COMMAND.upload,
  COMMAND.uploadAppender,
  COMMAND.uploadSlave,
  COMMAND.append,
  COMMAND.modify,
  COMMAND.truncate,
  COMMAND.delete,
  COMMAND.setMeta,
  COMMAND.regenerate,
]);

/** Answers clients of a storage. */
export class StorageSide {
  readonly #deps: StorageSideDeps;
  readonly #handlers: ReadonlyMap<number, Handler>;

  /** Serve the files of these operations. */
  constructor(deps: StorageSideDeps) {
    this.#deps = deps;
    this.#handlers = new Map<number, Handler>([
      [COMMAND.upload, (request) => this.#upload(request, false)],
      [COMMAND.uploadAppender, (request) => this.#upload(request, true)],
      [COMMAND.uploadSlave, (request) => this.#uploadSlave(request)],
      [COMMAND.append, (request) => this.#append(request)],
      [COMMAND.modify, (request) => this.#modify(request)],
      [COMMAND.truncate, (request) => this.#truncate(request)],
      [COMMAND.delete, (request) => this.#delete(request)],
      [COMMAND.setMeta, (request) => this.#setMeta(request)],
      [COMMAND.getMeta, (request) => this.#getMeta(request)],
      [COMMAND.download, (request) => this.#download(request)],
      [COMMAND.fileInfo, (request) => this.#fileInfo(request)],
      [COMMAND.regenerate, (request) => this.#regenerate(request)],
      // For FastDHT, which finds duplicates by itself.
      [COMMAND.createLink, () => ({ status: STATUS.unsupported })],
      [COMMAND.activeTest, ({ leftBytes }) => leftBytes === 0 ? OK : INVALID],
      [COMMAND.quit, () => ({ status: STATUS.ok, end: "silently" })],
    ]);
  }

  /** Answer one request. */
  answer(request: WireRequest): Promise<Reply> | Reply {
    const { command } = request.header;
    const handler = this.#handlers.get(command);
    if (handler === undefined) return INVALID;
    if (this.#deps.isReadOnly && CHANGES.has(command)) {
      return { status: STATUS.readOnly };
    }
    return handler(request);
  }

  async #upload(request: WireRequest, appender: boolean): Promise<Reply> {
    const bytes = await request.glance(UPLOAD_HEAD_BYTES);
    const head = bytes && readUploadHead(bytes);
    if (head === undefined || head.sizeBytes !== request.leftBytes) {
      return INVALID;
    }
    const { pathIndex, extension } = head;
    if (pathIndex !== undefined && pathIndex >= this.#deps.pathCount()) {
      return INVALID;
    }
    if (extension !== "" && !isExtension(extension)) return INVALID;
    const { bodies } = this.#deps;
    const content = await request.content(RECORD_BODY_BYTES_MAX, bodies.take);
    const { body } = content;
    const letGo = body instanceof Uint8Array ? bodies.hold(body) : undefined;
    const file = { pathIndex, extension, appender };
    const id = await this.#deps.operations.create(content, file);
    letGo?.(); // not after an error: who knows what still looks at it
    request.file = id;
    return { status: STATUS.ok, body: encodeFileId(id) };
  }

  async #uploadSlave(request: WireRequest): Promise<Reply> {
    const bytes = await request.glance(SLAVE_HEAD_BYTES);
    const head = bytes && readSlaveHead(bytes);
    if (head === undefined) return INVALID;
    const master = await this.#name(request, head.nameBytes);
    if (master === undefined || head.sizeBytes !== request.leftBytes) {
      return INVALID;
    }
    const { prefix, extension } = head;
    // It would have the name of its own metadata in FastDFS.
    if (prefix === "-m" && extension === "") return INVALID;
    const content = await request.content();
    const name = { prefix, extension };
    const id = await this.#deps.operations.derive(master, content, name);
    request.file = id;
    return { status: STATUS.ok, body: encodeFileId(id) };
  }

  async #append(request: WireRequest): Promise<Reply> {
    const bytes = await request.glance(APPEND_HEAD_BYTES);
    const head = bytes && readSizedHead(bytes);
    if (head === undefined) return INVALID;
    const id = await this.#name(request, head.nameBytes);
    if (id === undefined || head.sizeBytes !== request.leftBytes) {
      return INVALID;
    }
    await this.#deps.operations.write(id, await request.content());
    return OK;
  }

  async #modify(request: WireRequest): Promise<Reply> {
    const bytes = await request.glance(MODIFY_HEAD_BYTES);
    const head = bytes && readModifyHead(bytes);
    if (head === undefined) return INVALID;
    const id = await this.#name(request, head.nameBytes);
    if (id === undefined || head.sizeBytes !== request.leftBytes) {
      return INVALID;
    }
    const content = await request.content();
    await this.#deps.operations.write(id, content, head.offset);
    return OK;
  }

  async #truncate(request: WireRequest): Promise<Reply> {
    const bytes = await request.glance(APPEND_HEAD_BYTES);
    const head = bytes && readSizedHead(bytes);
    if (head === undefined) return INVALID;
    const id = await this.#name(request, head.nameBytes);
    if (id === undefined || request.leftBytes > 0) return INVALID;
    await this.#deps.operations.truncate(id, head.sizeBytes);
    return OK;
  }

  async #delete(request: WireRequest): Promise<Reply> {
    const id = await this.#namedFile(request);
    if (id === undefined) return INVALID;
    await this.#deps.operations.remove(id);
    return OK;
  }

  async #setMeta(request: WireRequest): Promise<Reply> {
    const bytes = await request.glance(META_HEAD_BYTES);
    const head = bytes && readMetaHead(bytes);
    if (head === undefined || head.group !== this.#deps.group) return INVALID;
    const id = await this.#name(request, head.nameBytes);
    if (id === undefined || head.metaBytes !== request.leftBytes) {
      return INVALID;
    }
    const text = await request.rest(META_BYTES_MAX);
    const meta = text && readMetadata(text);
    if (meta === undefined) return INVALID;
    await this.#deps.operations.setMeta(id, meta, head.how);
    return OK;
  }

  async #getMeta(request: WireRequest): Promise<Reply> {
    const id = await this.#namedFile(request);
    if (id === undefined) return INVALID;
    const { meta } = await this.#deps.operations.find(id);
    if (Object.keys(meta).length === 0) return { status: STATUS.notFound };
    return { status: STATUS.ok, body: encodeMetadata(meta) };
  }

  /** Nothing is waited for that is here: this is the most frequent request. */
  #download(request: WireRequest): Promise<Reply> | Reply {
    const body = request.rest(DOWNLOAD_HEAD_BYTES + NAME_BYTES_MAX);
    if (body === undefined) return INVALID;
    return whenHere(body, (bytes) => {
      const head = readDownload(bytes);
      const id = head && this.#idOf(head);
      if (head === undefined || id === undefined) return INVALID;
      request.file = id;
      const entry = this.#deps.operations.find(id);
      return whenHere(entry, (found) => this.#content(request, head, found));
    });
  }

  #content(
    request: WireRequest,
    head: DownloadHead,
    entry: FileEntry,
  ): Promise<Reply> | Reply {
    const leftBytes = entry.sizeBytes - head.offset;
    const isBehind = leftBytes < 0 || (leftBytes === 0 && head.offset > 0);
    if (isBehind) return INVALID;
    const lengthBytes = head.lengthBytes === 0
      ? leftBytes
      : Math.min(head.lengthBytes, leftBytes);
    if (lengthBytes === 0) return OK;
    const isWhole = lengthBytes === entry.sizeBytes;
    const span = isWhole ? undefined : { from: head.offset, lengthBytes };
    const room = request.replyRoom;
    if (room?.isCrowded === true && lengthBytes > CONTENT_PIECE_BYTES) {
      return this.#inPieces(entry, { from: head.offset, lengthBytes });
    }
    const content = this.#deps.operations.read(entry, span, room?.content);
    return whenHere(content, (found) => {
      const isPart = span !== undefined && found instanceof Uint8Array;
      const bytes = isPart ? withoutBlock(found) : found;
      return { status: STATUS.ok, content: { lengthBytes, bytes } };
    });
  }

  async #inPieces(entry: FileEntry, span: ByteSpan): Promise<Reply> {
    const { lengthBytes } = span;
    const heldBytes = CONTENT_PIECE_BYTES;
    const bytes = await contentPieces(this.#deps.operations, entry, span);
    return { status: STATUS.ok, content: { lengthBytes, bytes, heldBytes } };
  }

  async #fileInfo(request: WireRequest): Promise<Reply> {
    const id = await this.#namedFile(request);
    if (id === undefined) return INVALID;
    const entry = await this.#deps.operations.find(id);
    const view = await this.#deps.cluster.current();
    const { sizeBytes, crc32 } = entry;
    // FastDFS gives the time of the file's last change, too.
    const createdS = await this.#deps.operations.changedS(entry);
    const info = { sizeBytes, crc32, createdS, ip: view.ipOf(entry) };
    return { status: STATUS.ok, body: encodeFileInfo(info, view.ipBytes) };
  }

  async #regenerate(request: WireRequest): Promise<Reply> {
    const id = await this.#name(request, request.leftBytes);
    if (id === undefined) return INVALID;
    const newId = await this.#deps.operations.freeze(id);
    return { status: STATUS.ok, body: encodeFileId(newId) };
  }

  /** `group[16] name`, which is all that follows. */
  async #namedFile(request: WireRequest): Promise<string | undefined> {
    const body = await request.rest(NAMED_BYTES_MAX);
    const file = body && readNamedFile(body);
    const id = file && this.#idOf(file);
    if (id !== undefined) request.file = id;
    return id;
  }

  /** A name that follows, of a file of this group. */
  async #name(
    request: WireRequest,
    lengthBytes: number,
  ): Promise<string | undefined> {
    if (lengthBytes > NAME_BYTES_MAX) return undefined;
    const bytes = await request.glance(lengthBytes);
    const name = bytes && readName(bytes, 0, lengthBytes);
    const id = name && `${this.#deps.group}/${name}`;
    if (id !== undefined) request.file = id;
    return id;
  }

  #idOf({ group, name }: NamedFile): string | undefined {
    return group === this.#deps.group ? `${group}/${name}` : undefined;
  }
}
