/**
 * The operations on files for doors other than HTTP, with the locks, the rules
 * and the owners of the HTTP door.
 *
 * @module
 */

import { Problem, RECORD_BODY_BYTES_MAX, Uploaded } from "@kedge/schema";
import type { Level, NodeId } from "@kedge/schema";
import type { ChangeBody, FileEntry, FileMeta } from "@kedge/schema/change";
import { derivedFileId, parseFileId } from "@kedge/schema/file-id";
import type {
  FileContent,
  FileOperations,
  IncomingBytes,
  NewFile,
} from "../../operation_ports.ts";
import type {
  ByteSpan,
  Commitment,
  ContentEdit,
  ReadRoom,
} from "../../ports.ts";
import type { AgentHttpDeps } from "../deps.ts";
import { Elsewhere } from "../elsewhere.ts";
import type { Downloads } from "../read/download.ts";
import { bury } from "./bury.ts";
import {
  atLeastB,
  checkMayWrite,
  commitReceived,
  uploaded,
} from "./changes.ts";
import {
  baseOf,
  checkOffset,
  checkSize,
  editedEntry,
  mustBeAppender,
  nextEntry,
  ownedEntry,
  presentEntry,
} from "./edits.ts";
import { checkFree, checkOwner, newEntry } from "./new_entry.ts";
import { isAsKept } from "./kept_version.ts";
import { askOwner, type OwnerRequest, readFromPeer } from "./owner_door.ts";
import { Received } from "./received.ts";
import type { WriteTools } from "./upload.ts";
import { checkedMeta, invalid } from "./user_text.ts";

/** What a new file says about itself when nobody said anything. */
const NO_FACTS = { type: null, name: null, meta: {} } as const;
const NO_BYTES = { kind: "none" } as const;

/** See {@linkcode FileOperations}. */
export class Operations implements FileOperations {
  readonly #deps: AgentHttpDeps;
  readonly #tools: WriteTools;
  readonly #downloads: Downloads;

  /** Work with the tools of the HTTP door. */
  constructor(deps: AgentHttpDeps, tools: WriteTools, downloads: Downloads) {
    this.#deps = deps;
    this.#tools = tools;
    this.#downloads = downloads;
  }

  find(id: string): FileEntry | Promise<FileEntry> {
    const found = this.#tools.finder.findForRead(id);
    if (!(found instanceof Promise)) return found;
    return found.catch((error) => {
      // It cannot be kept here: its content is read from that peer.
      if (error instanceof Elsewhere) return error.entry;
      throw error;
    });
  }

  async changedS(entry: FileEntry): Promise<number> {
    const { appender, createdS } = entry;
    // The disk has the time at which an import came by, not that of a change.
    if (!appender || isAsKept(entry)) return createdS;
    return await this.#deps.files.changedS?.(entry) ?? createdS;
  }

  read(
    entry: FileEntry,
    span?: ByteSpan,
    room?: ReadRoom,
  ): FileContent | Promise<FileContent> {
    const content = this.#downloads.read(entry, span, room);
    if (!(content instanceof Promise)) return content;
    return content.catch((error) => {
      if (!(error instanceof Elsewhere) || error.url === undefined) throw error;
      return readFromPeer(this.#deps, `${error.url}/${entry.id}`, span);
    });
  }

  async create(bytes: IncomingBytes, file: NewFile): Promise<string> {
    checkMayWrite(this.#deps);
    const { extension, appender, pathIndex } = file;
    const level = this.#level;
    const inlineBytesMax = RECORD_BODY_BYTES_MAX;
    const how = { pathIndex, level, inlineBytesMax };
    await using received = await this.#stage(bytes, how);
    const { staged } = received;
    const id = this.#deps.files.newId({ staged, extension, appender });
    const facts = { ...NO_FACTS, appender };
    const entry = newEntry(this.#deps, { id, staged, facts });
    await this.#commitWhole(received, entry, level);
    return id;
  }

  async derive(
    master: string,
    bytes: IncomingBytes,
    { prefix, extension }: { prefix: string; extension: string },
  ): Promise<string> {
    const found = await this.#tools.finder.find(master);
    const id = derivedFileId(found.id, prefix, extension);
    if (id === undefined) throw invalid("prefix", "makes no name of a file");
    const query = new URLSearchParams({ prefix, ext: extension });
    const isDone = await this.#atOwner(found, {
      action: "derive",
      method: "POST",
      path: `/derived?${query}`,
      bytes,
    });
    if (isDone) return id;
    checkFree(this.#deps, id);
    const level = atLeastB(this.#level);
    const pathIndex = parseFileId(id)?.pathIndex;
    await using received = await this.#stage(bytes, { pathIndex, level });
    return await this.#tools.files.run(id, async () => {
      checkFree(this.#deps, id);
      checkOwner(this.#deps, found);
      const facts = { ...NO_FACTS, appender: false };
      const { staged } = received;
      const entry = newEntry(this.#deps, { id, staged, facts, master: found });
      await this.#commitWhole(received, entry, level);
      return id;
    });
  }

  async write(
    id: string,
    bytes: IncomingBytes,
    offset?: number,
  ): Promise<void> {
    const early = await this.#tools.finder.find(id);
    mustBeAppender(early);
    const isAppend = offset === undefined;
    const isDone = await this.#atOwner(early, {
      action: isAppend ? "append" : "modify",
      method: isAppend ? "POST" : "PUT",
      path: isAppend ? "/append" : `/content?offset=${offset}`,
      bytes,
    });
    if (isDone) return;
    checkOffset(offset, early);
    const level = atLeastB(this.#level);
    await using received = await this.#stage(bytes, { level });
    await this.#tools.files.run(id, async () => {
      const entry = ownedEntry(this.#deps, id);
      checkOffset(offset, entry);
      await this.#commitPart(received, entry, { at: offset, level });
    });
  }

  async truncate(id: string, sizeBytes: number): Promise<void> {
    const early = await this.#tools.finder.find(id);
    mustBeAppender(early);
    const isDone = await this.#atOwner(early, {
      action: "truncate",
      method: "POST",
      path: `/truncate?size=${sizeBytes}`,
    });
    if (isDone) return;
    checkSize(this.#deps, sizeBytes);
    await this.#tools.files.run(id, async () => {
      const entry = ownedEntry(this.#deps, id);
      if (entry.sizeBytes === sizeBytes) return;
      const edit: ContentEdit = { kind: "truncate", sizeBytes };
      const next = await this.#edited(entry, edit);
      const body: ChangeBody = { kind: "truncate", ...baseOf(entry) };
      await this.#commit(next, body, atLeastB(this.#level));
    });
  }

  async setMeta(
    id: string,
    meta: FileMeta,
    how: "overwrite" | "merge",
  ): Promise<void> {
    const given = checkedMeta(meta);
    const early = await this.#tools.finder.find(id);
    const isDone = await this.#atOwner(early, {
      action: "set-meta",
      method: how === "merge" ? "PATCH" : "PUT",
      path: "/meta",
      json: given,
    });
    if (isDone) return;
    await this.#tools.files.run(id, async () => {
      const entry = ownedEntry(this.#deps, id);
      const wanted = how === "merge" ? { ...entry.meta, ...given } : given;
      const next = nextEntry(this.#deps, entry, { meta: checkedMeta(wanted) });
      await this.#commit(next, NO_BYTES, atLeastB(this.#level));
    });
  }

  async remove(id: string): Promise<void> {
    checkMayWrite(this.#deps);
    await this.#tools.finder.find(id);
    await this.#tools.files.run(id, () => {
      return bury(this.#deps, presentEntry(this.#deps, id));
    });
  }

  async freeze(id: string): Promise<string> {
    const early = await this.#tools.finder.find(id);
    mustBeAppender(early);
    const owner = this.#ownerOf(early);
    if (owner !== this.#deps.node) {
      const answer = await askOwner(this.#deps, {
        owner,
        id,
        action: "modify",
        method: "POST",
        path: "/regenerate",
      });
      return Uploaded.parse(answer).id;
    }
    return (await this.freezeHere(id)).id;
  }

  /**
   * The same at the owner.
   *
   * @returns The new file, and what the group made of it.
   */
  async freezeHere(id: string): Promise<Uploaded> {
    checkMayWrite(this.#deps);
    return await this.#tools.files.run(id, async () => {
      const entry = ownedEntry(this.#deps, id);
      mustBeAppender(entry);
      const level = atLeastB(this.#level);
      const { pathIndex, extension = "" } = parseFileId(id) ?? {};
      const { sizeBytes } = entry;
      const bytes = { body: await this.read(entry), sizeBytes };
      await using received = await this.#stage(bytes, { pathIndex, level });
      const { staged } = received;
      const name = { staged, extension, appender: false };
      const facts = { ...entry, appender: false };
      const next = newEntry(this.#deps, {
        id: this.#deps.files.newId(name),
        staged,
        facts,
      });
      const done = await this.#commitWhole(received, next, level);
      // Deleted only now: at every moment one of the two can be read.
      await bury(this.#deps, entry);
      return uploaded(this.#deps, next, done);
    });
  }

  get #level(): Level {
    return this.#deps.replicator.settings().level;
  }

  #ownerOf(entry: FileEntry): NodeId {
    const owner = this.#deps.replicator.ownerOf(entry.origin);
    if (owner !== undefined) return owner;
    throw new Problem("not-in-sync", "Nobody is in sync in this group now");
  }

  /** Whether the change was made, because somebody else owns the file. */
  async #atOwner(
    entry: FileEntry,
    request: Omit<OwnerRequest, "owner" | "id">,
  ): Promise<boolean> {
    const owner = this.#ownerOf(entry);
    if (owner === this.#deps.node) {
      checkMayWrite(this.#deps);
      return false;
    }
    await askOwner(this.#deps, { owner, id: entry.id, ...request });
    return true;
  }

  async #stage(
    { body, sizeBytes }: IncomingBytes,
    { level, ...where }: {
      readonly pathIndex?: number | undefined;
      readonly level: Level;
      readonly inlineBytesMax?: number;
    },
  ): Promise<Received> {
    const { files, replicator } = this.#deps;
    checkSize(this.#deps, sizeBytes);
    const relay = body instanceof Uint8Array
      ? undefined
      : replicator.openRelay();
    const staged = await files.stage({
      body,
      sizeBytes,
      sizeBytesMax: sizeBytes,
      ...where,
      durable: level === "C",
      relay,
    });
    const received = new Received(files, staged);
    if (staged.sizeBytes === sizeBytes) return received;
    await received[Symbol.asyncDispose]();
    throw new Problem("incomplete-body", "The body broke off before its end");
  }

  #commitWhole(
    received: Received,
    entry: FileEntry,
    level: Level,
  ): Promise<Commitment> {
    const change = { entry, body: { kind: "whole" } } as const;
    return commitReceived(this.#deps, { received, change, level });
  }

  async #commitPart(
    received: Received,
    entry: FileEntry,
    { at, level }: { readonly at: number | undefined; readonly level: Level },
  ): Promise<void> {
    const { staged } = received;
    const offset = at ?? entry.sizeBytes;
    // Nothing at the end changes nothing.
    if (staged.sizeBytes === 0) return;
    checkSize(this.#deps, offset + staged.sizeBytes);
    const next = await this.#edited(entry, { kind: "range", offset, staged });
    const lengthBytes = staged.sizeBytes;
    const base = baseOf(entry);
    const body: ChangeBody = { kind: "range", offset, lengthBytes, ...base };
    const change = { entry: next, body };
    await commitReceived(this.#deps, { received, change, level });
  }

  #edited(entry: FileEntry, edit: ContentEdit): Promise<FileEntry> {
    return editedEntry(this.#deps, this.#tools.finder, { entry, edit });
  }

  async #commit(
    entry: FileEntry,
    body: ChangeBody,
    level: Level,
  ): Promise<void> {
    await this.#deps.replicator.commit({ entry, body }, NO_BYTES, level);
  }
}
