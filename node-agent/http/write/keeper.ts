/**
 * Takes files in that keep the ID which another store gave them: an import.
 *
 * @module
 */

import { NOBODY, type NodeId, Problem } from "@kedge/schema";
import type { FileEntry, FileMeta } from "@kedge/schema/change";
import { type FileId, parseFileId } from "@kedge/schema/file-id";
import type {
  Dropping,
  FileKeeper,
  IncomingBytes,
  Kept,
  KeptFile,
} from "../../operation_ports.ts";
import type { Staged } from "../../ports.ts";
import type { AgentHttpDeps } from "../deps.ts";
import { bury } from "./bury.ts";
import { atLeastB, checkMayWrite, commitReceived } from "./changes.ts";
import { checkSize, presentEntry } from "./edits.ts";
import { isAsKept, isSettled, keptVersion, wasKept } from "./kept_version.ts";
import { Received } from "./received.ts";
import type { WriteTools } from "./upload.ts";
import { checkedMeta } from "./user_text.ts";

/** See {@linkcode FileKeeper}. */
export class Keeper implements FileKeeper {
  readonly #deps: AgentHttpDeps;
  readonly #tools: WriteTools;

  /** Work with the tools of the HTTP door: locks above all. */
  constructor(deps: AgentHttpDeps, tools: WriteTools) {
    this.#deps = deps;
    this.#tools = tools;
  }

  /** @inheritdoc */
  get group(): string {
    return this.#deps.group;
  }

  /** @inheritdoc */
  lookup(id: string): FileEntry | undefined {
    return this.#deps.files.lookup(id);
  }

  /** @inheritdoc */
  async stage(
    { body, sizeBytes }: IncomingBytes,
    pathIndex: number,
  ): Promise<Staged> {
    const { files, replicator } = this.#deps;
    checkMayWrite(this.#deps);
    checkSize(this.#deps, sizeBytes);
    const isWhole = body instanceof Uint8Array;
    return await files.stage({
      body,
      sizeBytes,
      sizeBytesMax: sizeBytes,
      pathIndex,
      durable: replicator.settings().level === "C",
      relay: isWhole ? undefined : replicator.openRelay(),
    });
  }

  /** @inheritdoc */
  async discard(staged: Staged): Promise<void> {
    await this.#deps.files.discard(staged);
  }

  /** @inheritdoc */
  checkSize(sizeBytes: number): void {
    checkSize(this.#deps, sizeBytes);
  }

  /** @inheritdoc */
  metaFault(meta: FileMeta): string | undefined {
    try {
      checkedMeta(meta);
      return undefined;
    } catch (error) {
      if (error instanceof Problem) return error.message;
      throw error;
    }
  }

  /** @inheritdoc */
  async keep(file: KeptFile): Promise<Kept> {
    const { id, staged } = file;
    await using received = new Received(this.#deps.files, staged);
    checkMayWrite(this.#deps);
    const parsed = parseFileId(id);
    if (parsed === undefined || parsed.group !== this.#deps.group) {
      throw new Problem("invalid-file-id", "Not a file ID of this group");
    }
    checkSize(this.#deps, staged.sizeBytes);
    return await this.#tools.files.run(id, async () => {
      const before = this.#deps.files.lookup(id);
      const outcome = this.#outcome(before, file);
      if (outcome !== "added" && outcome !== "replaced") return outcome;
      const entry = this.#entry(parsed, file, before);
      const { level: wanted } = this.#deps.replicator.settings();
      const isFixed = isSettled(id, entry.meta);
      const level = isFixed ? wanted : atLeastB(wanted);
      const change = { entry, body: { kind: "whole" } } as const;
      await commitReceived(this.#deps, { received, change, level });
      return outcome;
    });
  }

  /** @inheritdoc */
  dropping(id: string): Dropping {
    const entry = this.#deps.files.lookup(id);
    if (entry?.state !== "present" || !wasKept(entry)) return "not-kept";
    if (!isAsKept(entry)) return "changed-here";
    const owner = this.#deps.replicator.ownerOf(entry.origin);
    return owner === this.#deps.node ? "may-go" : "not-owner";
  }

  /** @inheritdoc */
  async drop(id: string): Promise<Dropping> {
    checkMayWrite(this.#deps);
    return await this.#tools.files.run(id, async () => {
      const verdict = this.dropping(id);
      if (verdict !== "may-go") return verdict;
      await bury(this.#deps, presentEntry(this.#deps, id));
      return verdict;
    });
  }

  #outcome(before: FileEntry | undefined, file: KeptFile): Kept {
    if (before === undefined) return "added";
    if (before.state === "tombstone") return "deleted";
    if (isSame(before, file)) return "known";
    if (!isAsKept(before)) return "changed-here";
    const owner = this.#deps.replicator.ownerOf(before.origin);
    return owner === this.#deps.node ? "replaced" : "not-owner";
  }

  /** The same on every member that takes this content in. */
  #entry(
    parsed: FileId,
    { id, staged, meta }: KeptFile,
    before: FileEntry | undefined,
  ): FileEntry {
    const { sizeBytes, crc32, sha256 } = staged;
    const content = { sha256, meta: checkedMeta(meta) };
    const { epoch } = this.#deps.replicator.register();
    return {
      id,
      state: "present",
      epoch: Math.max(epoch, before?.epoch ?? 0),
      version: keptVersion(id, content, before),
      origin: originOf(parsed),
      sizeBytes,
      crc32,
      sha256,
      type: null,
      name: null,
      meta: content.meta,
      createdS: parsed.createdS,
      appender: parsed.kind === "appender",
      master: null,
    };
  }
}

/** Who made it: a storage of FastDFS with a number, or nobody of ours. */
function originOf({ origin }: FileId): NodeId {
  return typeof origin === "number" ? origin : NOBODY;
}

function isSame(entry: FileEntry, { staged, meta }: KeptFile): boolean {
  if (entry.sizeBytes !== staged.sizeBytes) return false;
  if (entry.crc32 !== staged.crc32) return false;
  return isSameMeta(entry.meta, meta);
}

function isSameMeta(
  a: Readonly<Record<string, string>>,
  b: Readonly<Record<string, string>>,
): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && a[name] === b[name]);
}
