/**
 * Changes of files that exist: append, modify, truncate, metadata, delete.
 *
 * One change per file at a time; content and metadata only at the file's owner
 * (architecture.md, "One file, one lattice"), which the route has checked and
 * which is checked again once the body is here and the lock is held.
 *
 * @module
 */

import type { Level } from "@kedge/schema";
import type { ChangeBody, FileEntry } from "@kedge/schema/change";
import type { Commitment, ContentEdit } from "../../ports.ts";
import { json } from "../answers.ts";
import type { AgentHttpDeps } from "../deps.ts";
import { validatorsOf } from "../read/download.ts";
import type { AllowedCall } from "../routes.ts";
import {
  atLeastB,
  checkIfMatch,
  checkMayWrite,
  checkSha256,
  commitReceived,
  sizeBytesMax,
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
import { confirm, isRepeated } from "./keys.ts";
import type { Received } from "./received.ts";
import type { WriteTools } from "./upload.ts";
import { levelGiven, sha256Given } from "./upload_facts.ts";
import { checkedMeta, idempotencyKey, invalid } from "./user_text.ts";

/** Changes files. */
export class Mutations {
  readonly #deps: AgentHttpDeps;
  readonly #tools: WriteTools;

  /** Change files with these. */
  constructor(deps: AgentHttpDeps, tools: WriteTools) {
    this.#deps = deps;
    this.#tools = tools;
  }

  /** Put the body at the end of an appender file. */
  append(call: AllowedCall): Promise<Response> {
    return this.#writePart(call, undefined);
  }

  /** Put the body at `offset`, which may be up to the present end. */
  async modify(call: AllowedCall): Promise<Response> {
    return await this.#writePart(call, wholeNumber(call.query, "offset"));
  }

  /** Cut an appender file to `size`, or extend it with zeros. */
  async truncate(call: AllowedCall): Promise<Response> {
    const sizeBytes = wholeNumber(call.query, "size");
    const level = this.#levelOf(call);
    const key = keyOf(call);
    await this.#checkAppender(call, key);
    return await this.#once(call, { key, level }, async (entry) => {
      checkSize(this.#deps, sizeBytes);
      const edit: ContentEdit = { kind: "truncate", sizeBytes };
      const next = await this.#edited({ entry, edit });
      const body = { kind: "truncate", ...baseOf(entry) } as const;
      const { replicator } = this.#deps;
      const change = { entry: next, body };
      const none = { kind: "none" } as const;
      const done = await replicator.commit(change, none, level, key);
      return this.#changed(next, done);
    });
  }

  /**
   * Change the user metadata.
   *
   * @param call Its body is a JSON object of texts; a merge removes names whose
   * value is `null`.
   * @param how All of it, or only what is named.
   */
  async setMeta(
    call: AllowedCall,
    how: "overwrite" | "merge",
  ): Promise<Response> {
    checkMayWrite(this.#deps);
    const level = this.#levelOf(call);
    const given = await this.#tools.receiver.receiveJson(call.request);
    return await this.#tools.files.run(call.id, async () => {
      const entry = this.#owned(call);
      const wanted = how === "merge" ? merged(entry.meta, given) : given;
      const next = nextEntry(this.#deps, entry, { meta: checkedMeta(wanted) });
      const { level: reached, holders } = await this.#commit(next, level);
      const { id, version, meta } = next;
      return json({ id, version, meta, level: reached, holders });
    });
  }

  /** Delete a file: `?delete=sync` (the default) or `eventual`. */
  async remove(call: AllowedCall): Promise<Response> {
    checkMayWrite(this.#deps);
    const mode = call.query.get("delete") ?? "sync";
    if (mode !== "sync" && mode !== "eventual") {
      throw invalid("delete", "must be sync or eventual");
    }
    // Durable everywhere: a power cut must not bring the file back (F4).
    const level = mode === "eventual" ? "A" : "C";
    await this.#tools.finder.find(call.id);
    return await this.#tools.files.run(call.id, async () => {
      const entry = this.#present(call);
      const next = nextEntry(this.#deps, entry, {
        state: "tombstone",
        name: null,
        type: null,
        meta: {},
      });
      const { level: reached, holders } = await this.#commit(next, level);
      return json({ id: entry.id, level: reached, holders });
    });
  }

  /** Append and modify: bytes that replace or extend a part. */
  async #writePart(
    call: AllowedCall,
    offset: number | undefined,
  ): Promise<Response> {
    const { request, claims } = call;
    const level = this.#levelOf(call);
    const given = [request.headers.get("x-kedge-sha256")];
    const sha256 = sha256Given(given, claims);
    const key = keyOf(call);
    const early = await this.#checkAppender(call, key);
    checkOffset(offset, early);
    await using received = await this.#tools.receiver.receive({
      request,
      sizeBytesMax: sizeBytesMax(this.#deps, claims),
      durable: level === "C",
    });
    checkSha256(received.staged, sha256);
    return await this.#once(call, { key, level }, async (entry) => {
      checkOffset(offset, entry);
      const at = offset ?? entry.sizeBytes;
      return await this.#commitPart(entry, { received, at, level, key });
    });
  }

  /** Make a change of content, unless it was made under this key before. */
  #once(
    call: AllowedCall,
    { key, level }: Keyed,
    make: (entry: FileEntry) => Promise<Response>,
  ): Promise<Response> {
    return this.#tools.files.run(call.id, async () => {
      if (!isRepeated(this.#deps, key, call.id)) return make(this.#owned(call));
      const present = this.#owned(call, "a retry");
      const { entry, done } = await confirm(this.#deps, present, level);
      return this.#changed(entry, done);
    });
  }

  async #commitPart(
    entry: FileEntry,
    part: Keyed & { readonly received: Received; readonly at: number },
  ): Promise<Response> {
    const { received, at, level, key: idempotencyKey } = part;
    const { staged } = received;
    checkSize(this.#deps, at + staged.sizeBytes);
    const edit: ContentEdit = { kind: "range", offset: at, staged };
    const next = await this.#edited({ entry, edit });
    const body: ChangeBody = {
      kind: "range",
      offset: at,
      lengthBytes: staged.sizeBytes,
      ...baseOf(entry),
    };
    const change = { entry: next, body };
    const done = await commitReceived(this.#deps, {
      received,
      change,
      level,
      idempotencyKey,
    });
    return this.#changed(next, done);
  }

  /** Before the body is read: the file exists and may be changed. */
  async #checkAppender(
    call: AllowedCall,
    key: string | undefined,
  ): Promise<FileEntry> {
    checkMayWrite(this.#deps);
    const entry = await this.#tools.finder.find(call.id);
    mustBeAppender(entry);
    if (isRepeated(this.#deps, key, call.id)) return entry;
    checkIfMatch(call.request.headers.get("if-match"), entry);
    return entry;
  }

  /** The file under the lock, if this node still owns it. */
  #owned(call: AllowedCall, retry?: "a retry"): FileEntry {
    this.#present(call, retry);
    return ownedEntry(this.#deps, call.id);
  }

  #present({ id, request }: AllowedCall, retry?: "a retry"): FileEntry {
    const entry = presentEntry(this.#deps, id);
    // The first try has moved the version on.
    if (retry !== undefined) return entry;
    checkIfMatch(request.headers.get("if-match"), entry);
    return entry;
  }

  #edited(
    change: { readonly entry: FileEntry; readonly edit: ContentEdit },
  ): Promise<FileEntry> {
    return editedEntry(this.#deps, this.#tools.finder, change);
  }

  #commit(entry: FileEntry, level: Level): Promise<Commitment> {
    const change = { entry, body: { kind: "none" } } as const;
    return this.#deps.replicator.commit(change, { kind: "none" }, level);
  }

  #levelOf({ request, query, claims }: AllowedCall): Level {
    const given = [request.headers.get("x-kedge-level"), query.get("level")];
    const level = levelGiven(given, claims);
    return atLeastB(level ?? this.#deps.replicator.settings().level);
  }

  #changed(entry: FileEntry, done: Commitment): Response {
    const { etag } = validatorsOf(entry);
    return json(uploaded(this.#deps, entry, done), { headers: { etag } });
  }
}

/** How a change of content is to be made. */
interface Keyed {
  readonly level: Level;
  readonly key: string | undefined;
}

function keyOf({ request }: AllowedCall): string | undefined {
  return idempotencyKey(request.headers.get("idempotency-key"));
}

function wholeNumber(query: URLSearchParams, name: string): number {
  const text = query.get(name);
  if (text !== null && /^\d{1,15}$/.test(text)) return Number(text);
  throw invalid(name, "must be a whole number of bytes");
}

/** RFC 7396 for a flat object: `null` removes, texts replace. */
function merged(
  meta: Readonly<Record<string, string>>,
  patch: unknown,
): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) {
    return patch;
  }
  const result = new Map<string, unknown>(Object.entries(meta));
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) result.delete(name);
    else result.set(name, value);
  }
  return Object.fromEntries(result);
}
