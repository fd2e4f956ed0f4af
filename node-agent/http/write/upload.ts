/**
 * New files from a request's body: uploads, and files derived from a master.
 *
 * @module
 */

import type { Level, Uploaded } from "@kedge/schema";
import type { CapabilityClaims } from "@kedge/schema/capability";
import type { FileEntry } from "@kedge/schema/change";
import { derivedFileId, parseFileId } from "@kedge/schema/file-id";
import type { AgentHttpDeps } from "../deps.ts";
import type { Finder } from "../read/finder.ts";
import {
  atLeastB,
  checkMayWrite,
  checkSha256,
  commitReceived,
  sizeBytesMax,
  uploaded,
} from "./changes.ts";
import type { KeyedLock } from "./keyed_lock.ts";
import type { Receiver } from "./receive.ts";
import type { Received } from "./received.ts";
import { checkFree, checkOwner, newEntry } from "./new_entry.ts";
import { confirm, conflict } from "./keys.ts";
import { extensionFor, uploadFacts, withForm } from "./upload_facts.ts";
import type { UploadFacts } from "./upload_facts.ts";
import { invalid } from "./user_text.ts";

/** A request to make a file, with its capability checked. */
export interface UploadCall {
  readonly request: Request;
  readonly query: URLSearchParams;
  /** Name in the path, undecoded; "" when there is none. */
  readonly name: string;
  /** The master in the path, or "". */
  readonly id: string;
  readonly claims: CapabilityClaims;
}

/** What files are made and changed with. */
export interface WriteTools {
  readonly finder: Finder;
  readonly receiver: Receiver;
  /** One upload per idempotency key at a time. */
  readonly keys: KeyedLock;
  /** One change per file at a time. */
  readonly files: KeyedLock;
}

/** The place of a derived file. */
interface Derived {
  readonly id: string;
  readonly master: FileEntry;
}

/** Makes files. */
export class Uploads {
  readonly #deps: AgentHttpDeps;
  readonly #tools: WriteTools;

  /** Make files with these. */
  constructor(deps: AgentHttpDeps, tools: WriteTools) {
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
    const facts = uploadFacts({ ...call, headers: call.request.headers });
    return await this.#receive(call, facts);
  }

  /**
   * Answer an upload of a file derived from a master (`prefix`, `ext`).
   *
   * @throws {Problem} `already-exists` also when it was deleted before: an ID
   * never comes back.
   */
  async serveDerived(call: UploadCall): Promise<Response> {
    const { query, request } = call;
    const master = await this.#tools.finder.find(call.id);
    const prefix = query.get("prefix") ?? "";
    const id = derivedFileId(master.id, prefix, query.get("ext") ?? "");
    if (id === undefined) {
      throw invalid(
        "prefix",
        "and ext, with the master's name, do not make the ID of a derived file",
      );
    }
    const facts = uploadFacts({ ...call, headers: request.headers });
    if (facts.appender) throw invalid("appender", "is not for derived files");
    if (facts.idempotencyKey === undefined) checkFree(this.#deps, id);
    return await this.#receive(call, facts, { id, master });
  }

  async #receive(
    call: UploadCall,
    early: UploadFacts,
    derived?: Derived,
  ): Promise<Response> {
    checkMayWrite(this.#deps);
    const { request, claims } = call;
    const place = derived === undefined ? undefined : parseFileId(derived.id);
    await using received = await this.#tools.receiver.receive({
      request,
      sizeBytesMax: sizeBytesMax(this.#deps, claims),
      pathIndex: place?.pathIndex ?? claims.p,
      durable: this.#levelOf(early, derived) === "C",
    });
    const { form } = received;
    const facts = form === undefined ? early : withForm(early, form, claims);
    checkSha256(received.staged, facts.sha256);
    return created(
      await this.#storeOnce(received, facts, derived),
      request.headers.has("origin"),
    );
  }

  async #storeOnce(
    received: Received,
    facts: UploadFacts,
    derived: Derived | undefined,
  ): Promise<Uploaded> {
    const key = facts.idempotencyKey;
    if (key === undefined) return await this.#store(received, facts, derived);
    return await this.#tools.keys.run(key, async () => {
      const before = this.#deps.files.remembered(key);
      if (before === undefined) {
        return await this.#store(received, facts, derived);
      }
      const isSame = before.sha256 === received.staged.sha256 &&
        (derived === undefined || derived.id === before.id);
      if (!isSame) throw conflict("for something else", before.id);
      return await this.#again(before.id, this.#levelOf(facts, derived));
    });
  }

  /** Answer a retry with the file that its first try made. */
  #again(id: string, level: Level): Promise<Uploaded> {
    return this.#tools.files.run(id, async () => {
      const entry = this.#deps.files.lookup(id);
      if (entry?.state !== "present") throw conflict("and deleted since", id);
      const { done } = await confirm(this.#deps, entry, level);
      return uploaded(this.#deps, entry, done);
    });
  }

  async #store(
    received: Received,
    facts: UploadFacts,
    derived: Derived | undefined,
  ): Promise<Uploaded> {
    const { staged } = received;
    if (derived === undefined) {
      const extension = extensionFor(facts);
      const { appender } = facts;
      const id = this.#deps.files.newId({ staged, extension, appender });
      return await this.#commit(received, facts, { id });
    }
    return await this.#tools.files.run(derived.id, async () => {
      checkFree(this.#deps, derived.id);
      checkOwner(this.#deps, derived.master);
      return await this.#commit(received, facts, derived);
    });
  }

  async #commit(
    received: Received,
    facts: UploadFacts,
    place: { readonly id: string; readonly master?: FileEntry },
  ): Promise<Uploaded> {
    const { staged } = received;
    const entry = newEntry(this.#deps, { ...place, staged, facts });
    const isDerived = place.master !== undefined;
    const level = facts.level ?? this.#deps.replicator.settings().level;
    const commitment = await commitReceived(this.#deps, {
      received,
      change: { entry, body: { kind: "whole" } },
      level: isDerived ? atLeastB(level) : level,
      idempotencyKey: facts.idempotencyKey,
    });
    return uploaded(this.#deps, entry, commitment);
  }

  #levelOf(facts: UploadFacts, derived: Derived | undefined): Level {
    const level = facts.level ?? this.#deps.replicator.settings().level;
    return derived === undefined ? level : atLeastB(level);
  }
}

const FOR_PAGES: [string, string][] = [
  ["access-control-allow-origin", "*"],
  ["access-control-expose-headers", "Location"],
];

/**
 * `201` with the file's place. What only browsers want is sent to them alone:
 * `Deno.serve` sends an answer of up to 512 bytes with one system call, and this
 * one has some 450 without (measured with strace, Deno 2.9.6).
 */
function created(body: Uploaded, isForPage: boolean): Response {
  return new Response(JSON.stringify(body), {
    status: 201,
    headers: [
      ["content-type", "application/json"],
      ["location", body.url],
      ...(isForPage ? FOR_PAGES : []),
    ],
  });
}
