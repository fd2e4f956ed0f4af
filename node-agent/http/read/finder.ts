/**
 * From a file ID to what this node knows of the file, asking the group where
 * this node alone cannot know.
 *
 * `404` is proof: a malformed ID, another group, a tombstone, or every member
 * answered "never had it". Anything less certain is `503` (architecture.md). A
 * file that cannot be kept here is read where it is (`elsewhere.ts`).
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import type { FileEntry } from "@kedge/schema/change";
import { parseFileId } from "@kedge/schema/file-id";
import type { FetchOutcome } from "../../ports.ts";
import { Elsewhere } from "../elsewhere.ts";
import type { AgentHttpDeps } from "../deps.ts";
import { limitsOf } from "../deps.ts";

/** What it means that no member has a file, by why it was asked for. */
type Absence = readonly [
  code: "damaged" | "unavailable" | "file-not-found",
  why: string,
];

const NOWHERE_GOOD: Absence = ["damaged", "No member has a good copy"];
const NOT_KNOWN: Absence = [
  "unavailable",
  "No member in sync knows this file",
];
const NEVER_HAD: Absence = ["file-not-found", "No member ever had this file"];

/** Finds files here and in the group. */
export class Finder {
  readonly #deps: AgentHttpDeps;
  readonly #fetchesMax: number;
  readonly #fetches = new Map<string, Promise<FetchOutcome>>();

  /** Work with these ports. */
  constructor(deps: AgentHttpDeps) {
    this.#deps = deps;
    this.#fetchesMax = limitsOf(deps).fetchesMax;
  }

  /**
   * A file whose content or facts are to be read: as {@linkcode find}, while
   * the read lease lasts (promises F4). A node that is not in sync asks first
   * whether the file was deleted.
   *
   * @param id As the client sent it.
   * @throws {Problem} As {@linkcode find}.
   */
  findForRead(id: string): FileEntry | Promise<FileEntry> {
    const may = this.#deps.replicator.mayRead();
    if (!may.ok) throw new Problem("unavailable", may.why);
    const found = this.find(id);
    if (may.confirm !== true || found instanceof Promise) return found;
    return this.#confirm(found);
  }

  /**
   * The present file of an ID.
   *
   * @param id As the client sent it.
   * @throws {Problem} `invalid-file-id`, `file-not-found` as proof, else
   * `unavailable`.
   */
  find(id: string): FileEntry | Promise<FileEntry> {
    const entry = this.#deps.files.lookup(id);
    if (entry?.state === "present") return entry;
    if (entry !== undefined) throw gone(id);
    this.#checkId(id);
    return this.#ask(id);
  }

  /**
   * Get a good copy of a file whose copy here is damaged or missing.
   *
   * @param id A file that somebody has in its index.
   * @throws {Elsewhere} When a copy cannot be kept here.
   * @throws {Problem} `damaged` when nobody has a good one, `unavailable` when
   * not everybody could be asked, `file-not-found` when it was deleted meanwhile.
   */
  async repair(id: string): Promise<FileEntry> {
    const outcome = await this.#fetch(id);
    return this.#kept(outcome, id, NOWHERE_GOOD);
  }

  async #confirm({ id }: FileEntry): Promise<FileEntry> {
    const outcome = await this.#fetch(id, "confirm");
    return this.#kept(outcome, id, NOT_KNOWN);
  }

  #checkId(id: string): void {
    const parsed = parseFileId(id);
    if (parsed === undefined) {
      throw new Problem("invalid-file-id", "The path is not a file ID");
    }
    if (parsed.group === this.#deps.group) return;
    throw new Problem(
      "file-not-found",
      `This agent serves ${this.#deps.group}; ask a tracker for ${parsed.group}`,
      { group: this.#deps.group },
    );
  }

  async #ask(id: string): Promise<FileEntry> {
    return this.#kept(await this.#fetch(id), id, NEVER_HAD);
  }

  /** The entry that a fetch brought; otherwise an error that says why not. */
  #kept(outcome: FetchOutcome, id: string, absent: Absence): FileEntry {
    switch (outcome.kind) {
      case "kept":
        return outcome.entry;
      case "elsewhere":
        throw new Elsewhere(outcome, this.#deps.replicator.peers());
      case "tombstone":
        throw gone(id);
      case "absent":
        throw new Problem(...absent);
      case "damaged":
      case "unavailable":
        throw new Problem(outcome.kind, outcome.why);
      default:
        return outcome satisfies never;
    }
  }

  #fetch(
    id: string,
    purpose: "repair" | "confirm" = "repair",
  ): Promise<FetchOutcome> {
    const key = `${purpose} ${id}`;
    const running = this.#fetches.get(key);
    if (running !== undefined) return running;
    if (this.#fetches.size >= this.#fetchesMax) {
      throw new Problem("unavailable", "Too many files are looked for at once");
    }
    const fetched = this.#deps.replicator.fetch(id, purpose)
      .finally(() => this.#fetches.delete(key));
    this.#fetches.set(key, fetched);
    return fetched;
  }
}

function gone(id: string): Problem {
  return new Problem("file-not-found", "The file was deleted", { id });
}
