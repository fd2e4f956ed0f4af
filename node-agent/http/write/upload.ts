/**
 * Uploads: a new file from a request's body.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import type { Level, Uploaded } from "@kedge/schema";
import type { Change, FileEntry } from "@kedge/schema/change";
import type { CapabilityClaims } from "@kedge/schema/capability";
import { parseFileId } from "@kedge/schema/file-id";
import type { Commitment, ContentSource, Staged } from "../../ports.ts";
import type { AgentHttpDeps } from "../deps.ts";
import type { KeyedLock } from "./keyed_lock.ts";
import type { Received, Receiver } from "./receive.ts";
import { extensionFor, uploadFacts, withForm } from "./upload_facts.ts";
import type { UploadFacts } from "./upload_facts.ts";

/** A request to make a file, with its capability checked. */
export interface UploadCall {
  readonly request: Request;
  readonly query: URLSearchParams;
  /** Name in the path, undecoded; "" when there is none. */
  readonly name: string;
  readonly claims: CapabilityClaims;
}

/** What uploads are made with. */
export interface UploadTools {
  readonly receiver: Receiver;
  /** One upload per idempotency key at a time. */
  readonly keys: KeyedLock;
}

/** Makes files. */
export class Uploads {
  readonly #deps: AgentHttpDeps;
  readonly #tools: UploadTools;

  /** Make files with these. */
  constructor(deps: AgentHttpDeps, tools: UploadTools) {
    this.#deps = deps;
    this.#tools = tools;
  }

  /**
   * Answer an upload.
   *
   * @throws {Problem} Any refusal; nothing is stored then, except with
   * `uncertain`.
   */
  async serve(call: UploadCall): Promise<Response> {
    const { request, claims } = call;
    const { receiver } = this.#tools;
    const early = uploadFacts({ ...call, headers: request.headers });
    checkMayWrite(this.#deps);
    const received = await receiver.receive({
      request,
      sizeBytesMax: sizeBytesMax(this.#deps, claims),
      pathIndex: claims.p,
      durable: (early.level ?? this.#deps.replicator.settings().level) === "C",
    });
    let facts: UploadFacts;
    try {
      const { form } = received;
      facts = form === undefined ? early : withForm(early, form, claims);
      checkSha256(received.staged, facts.sha256);
    } catch (error) {
      await receiver.discard(received);
      throw error;
    }
    return created(await this.#store(received, facts));
  }

  #store(received: Received, facts: UploadFacts): Promise<Uploaded> {
    const key = facts.idempotencyKey;
    if (key === undefined) return this.#commit(received, facts);
    return this.#tools.keys.run(key, async () => {
      const before = this.#deps.files.remembered(key);
      if (before === undefined) return await this.#commit(received, facts);
      await this.#tools.receiver.discard(received);
      const { sha256 } = received.staged;
      return await this.#again(before.id, before.sha256 === sha256, facts);
    });
  }

  /** Answer a retry with the file that its first try made. */
  async #again(
    id: string,
    isSame: boolean,
    facts: UploadFacts,
  ): Promise<Uploaded> {
    const entry = this.#deps.files.lookup(id);
    if (!isSame) throw conflict("with other content", id);
    if (entry?.state !== "present") throw conflict("and deleted since", id);
    const level = facts.level ?? this.#deps.replicator.settings().level;
    return uploaded(this.#deps, entry, await this.#confirm(entry, level));
  }

  /**
   * What can be said about a file that was committed before. Our log is in
   * order, so a change that changes nothing, made after it, reaches a level only
   * when the file has reached it too.
   */
  async #confirm(entry: FileEntry, level: Level): Promise<Commitment> {
    const { node, replicator } = this.#deps;
    const isOurs = replicator.ownerOf(entry.origin) === node;
    if (level === "A" || !isOurs) return { level: "A", holders: [node] };
    const next = nextVersion(entry, replicator.register().epoch);
    const change: Change = { entry: next, body: { kind: "none" } };
    return await replicator.commit(change, { kind: "none" }, level);
  }

  async #commit(received: Received, facts: UploadFacts): Promise<Uploaded> {
    const { staged } = received;
    const extension = extensionFor(facts);
    const { appender } = facts;
    const id = this.#deps.files.newId({ staged, extension, appender });
    const entry = newEntry(this.#deps, { id, staged, facts });
    const level = facts.level ?? this.#deps.replicator.settings().level;
    const change: Change = { entry, body: { kind: "whole" } };
    const commitment = await commitReceived(this.#deps, {
      tools: this.#tools,
      received,
      change,
      level,
      idempotencyKey: facts.idempotencyKey,
    });
    return uploaded(this.#deps, entry, commitment);
  }
}

/** A change together with the bytes that arrived for it. */
export interface ReceivedChange {
  readonly tools: Pick<UploadTools, "receiver">;
  readonly received: Received;
  readonly change: Change;
  readonly level: Level;
  readonly idempotencyKey?: string | undefined;
}

/** Refusals after which nothing refers to the staged bytes. */
const UNUSED: readonly string[] = ["not-in-sync", "insufficient-storage"];

/**
 * Commit a change whose bytes were received.
 *
 * Bytes are thrown away only when the refusal says that nothing was logged; a
 * record that is in doubt must find its bytes (the store sweeps the rest).
 */
export async function commitReceived(
  deps: AgentHttpDeps,
  { tools, received, change, level, idempotencyKey }: ReceivedChange,
): Promise<Commitment> {
  await received.relay?.finish();
  try {
    const content = contentOf(received.staged);
    return await deps.replicator.commit(change, content, level, idempotencyKey);
  } catch (error) {
    if (error instanceof Problem && UNUSED.includes(error.slug)) {
      await tools.receiver.discard(received);
    }
    throw error;
  }
}

/** The bytes of a change, from what was staged. */
export function contentOf(staged: Staged): ContentSource {
  const { inline } = staged;
  if (inline === undefined) return { kind: "staged", staged };
  return { kind: "inline", bytes: inline };
}

/** What a new entry is made of. */
export interface NewEntry {
  readonly id: string;
  readonly staged: Staged;
  readonly facts: UploadFacts;
  /** Master of a derived file, which has its master's owner. */
  readonly master?: FileEntry | undefined;
}

/** The first state of a new file. */
export function newEntry(
  deps: AgentHttpDeps,
  { id, staged, facts, master }: NewEntry,
): FileEntry {
  const isNew = master === undefined;
  return {
    id,
    state: "present",
    epoch: deps.replicator.register().epoch,
    version: 1,
    origin: isNew ? deps.node : master.origin,
    sizeBytes: staged.sizeBytes,
    crc32: staged.crc32,
    sha256: staged.sha256,
    type: facts.type,
    name: facts.name,
    meta: facts.meta,
    createdS: createdS(deps, isNew ? id : ""),
    appender: facts.appender,
    master: isNew ? null : master.id,
  };
}

/** As the ID says it, so that an index rebuilt from IDs says the same. */
function createdS(deps: AgentHttpDeps, id: string): number {
  return parseFileId(id)?.createdS ?? Math.floor(deps.clock.wallMs() / 1000);
}

/** The same file, one version later. */
export function nextVersion(entry: FileEntry, epoch: number): FileEntry {
  return {
    ...entry,
    epoch: Math.max(epoch, entry.epoch),
    version: entry.version + 1,
  };
}

/**
 * Most bytes of a body: what the capability and the group allow.
 */
export function sizeBytesMax(
  deps: AgentHttpDeps,
  claims: CapabilityClaims,
): number {
  const { fileBytesMax } = deps.replicator.settings();
  return Math.min(claims.s ?? Infinity, fileBytesMax);
}

/**
 * Refuse when this node takes no changes.
 *
 * @throws {Problem} `read-only`.
 */
export function checkMayWrite(deps: AgentHttpDeps): void {
  const may = deps.replicator.mayWrite();
  if (!may.ok) throw new Problem("read-only", may.why);
}

/**
 * Compare the content's hash with the one announced.
 *
 * @throws {Problem} `checksum-mismatch`.
 */
export function checkSha256(staged: Staged, sha256: string | undefined): void {
  if (sha256 === undefined || sha256 === staged.sha256) return;
  throw new Problem("checksum-mismatch", "The content has another SHA-256", {
    sha256: staged.sha256,
  });
}

/** The answer to whoever made or changed a file. */
export function uploaded(
  deps: AgentHttpDeps,
  entry: FileEntry,
  { level, holders }: Commitment,
): Uploaded {
  return {
    id: entry.id,
    url: `${deps.url()}/${entry.id}`,
    size: entry.sizeBytes,
    sha256: entry.sha256,
    level,
    holders: [...holders],
  };
}

/** `201` with the file's place. */
export function created(body: Uploaded): Response {
  return new Response(JSON.stringify(body), {
    status: 201,
    headers: [
      ["content-type", "application/json"],
      ["location", body.url],
      ["access-control-allow-origin", "*"],
      ["access-control-expose-headers", "Location"],
    ],
  });
}

function conflict(how: string, id: string): Problem {
  return new Problem(
    "idempotency-conflict",
    `This Idempotency-Key was used before ${how}`,
    { id },
  );
}
