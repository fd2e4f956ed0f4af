/**
 * Looks in the group for a file that is missing or damaged here, and keeps it.
 * What the answers mean is decided by `fetch_core.ts`.
 *
 * @module
 */

import type { GroupName, GroupRegister, NodeId } from "@kedge/schema";
import { isInSync, Problem } from "@kedge/schema";
import { compareEntries } from "@kedge/schema/change";
import { parseFileId } from "@kedge/schema/file-id";
import type { ChangeLog, FetchOutcome, LocalFiles, Log } from "../ports.ts";
import type { BulkPool } from "./bulk_pool.ts";
import { askFor, contentOf, type PeerFile } from "./content_transfer.ts";
import {
  decideFetch,
  fetchOrder,
  type FetchVerdict,
  type MemberAnswer,
} from "./fetch_core.ts";

/** How long a member may take to say whether it has a file, in milliseconds. */
const ASK_MS = 2000;

/** What our store says when it cannot keep a copy now. */
const NO_PLACE = ["read-only", "insufficient-storage"];

/** What {@linkcode FileFinder} works with. */
export interface FileFinderOptions {
  readonly node: NodeId;
  readonly group: GroupName;
  readonly files: LocalFiles;
  readonly log: ChangeLog;
  readonly logger: Log;
  readonly pool: BulkPool;
  register(): GroupRegister | undefined;
  /** We may serve reads ourselves: our word counts too. */
  weKnow(): boolean;
}

/** Everything that one search knows. */
interface Search {
  readonly id: string;
  readonly register: GroupRegister;
  readonly answers: Map<NodeId, MemberAnswer>;
  /** Members whose bytes turned out to be bad. */
  readonly bad: Set<NodeId>;
}

/** See the module comment. */
export class FileFinder {
  readonly #options: FileFinderOptions;
  readonly #searches = new Map<string, Promise<FetchOutcome>>();

  /** Nobody looks for anything yet. */
  constructor(options: FileFinderOptions) {
    this.#options = options;
  }

  /** See `Replicator.fetch` in ports.ts. One search per file at a time. */
  fetch(id: string): Promise<FetchOutcome> {
    const running = this.#searches.get(id);
    if (running !== undefined) return running;
    const search = this.#fetch(id).catch((error): FetchOutcome => {
      const why = error instanceof Error ? error.message : String(error);
      return { kind: "unavailable", why };
    }).finally(() => this.#searches.delete(id));
    this.#searches.set(id, search);
    return search;
  }

  /**
   * Learn whether a file that is here may be served: nodes in sync know of every
   * delete.
   */
  async confirm(id: string): Promise<FetchOutcome> {
    const search = this.#search(id);
    if (search === undefined) return unavailable("no group is known yet");
    const { register } = search;
    const order = fetchOrder(register, this.#options.node, originOf(id));
    await this.#askAll(
      search,
      order.filter((member) => isInSync(register, member)),
    );
    const verdict = this.#decide(search);
    const ours = this.#options.files.lookup(id);
    const isOurs = verdict.kind === "found" && ours !== undefined &&
      compareEntries(ours, verdict.entry) === 0;
    return isOurs
      ? { kind: "kept", entry: ours }
      : await this.#follow(search, verdict);
  }

  async #fetch(id: string): Promise<FetchOutcome> {
    const search = this.#search(id);
    if (search === undefined) return unavailable("no group is known yet");
    const order = fetchOrder(search.register, this.#options.node, originOf(id));
    const [likely, ...others] = order;
    if (likely !== undefined) await this.#askAll(search, [likely]);
    const first = this.#decide(search);
    if (first.kind === "found" || first.kind === "tombstone") {
      const outcome = await this.#follow(search, first);
      if (outcome.kind !== "unavailable") return outcome;
    }
    await this.#askAll(search, others);
    return await this.#follow(search, this.#decide(search));
  }

  #search(id: string): Search | undefined {
    const register = this.#options.register();
    if (register === undefined) return undefined;
    return { id, register, answers: new Map(), bad: new Set() };
  }

  #decide({ id, register, answers }: Search): FetchVerdict {
    const { node, files, weKnow } = this.#options;
    const ours = files.lookup(id);
    return decideFetch({ register, node, weKnow: weKnow(), ours, answers });
  }

  async #follow(search: Search, verdict: FetchVerdict): Promise<FetchOutcome> {
    switch (verdict.kind) {
      case "absent":
        return { kind: "absent" };
      case "unavailable":
        return verdict;
      case "tombstone":
        await this.#options.log.adopt([
          { entry: verdict.entry, content: { kind: "none" } },
        ], true);
        return { kind: "tombstone" };
      case "found":
        return await this.#keep(search, verdict);
      default:
        return verdict satisfies never;
    }
  }

  /** Take the bytes from the first member whose copy is good. */
  async #keep(
    search: Search,
    { entry, from }: FetchVerdict & { readonly kind: "found" },
  ): Promise<FetchOutcome> {
    const { log, logger, files } = this.#options;
    const { id } = search;
    const hasPlace = files.storePaths()
      .some(({ state }) => state === "writable");
    let why = "";
    for (const peer of from.filter((member) => !search.bad.has(member))) {
      if (!hasPlace) {
        const noPlace = "no store path here can be written";
        return { kind: "elsewhere", entry, node: peer, why: noPlace };
      }
      try {
        const file = await this.#ask(peer, id, true);
        if (file.entry === undefined || file.staged === undefined) {
          search.bad.add(peer);
          logger.warn("a peer's copy is bad", { peer, id });
          continue;
        }
        const content = contentOf(file.staged);
        const { usedKey } = file;
        await log.adopt([{ entry: file.entry, content, usedKey }], true);
        return { kind: "kept", entry: file.entry };
      } catch (error) {
        why = error instanceof Error ? error.message : String(error);
        if (!(error instanceof Problem)) continue;
        if (!NO_PLACE.includes(error.slug)) throw error;
        return { kind: "elsewhere", entry, node: peer, why };
      }
    }
    if (why !== "") return unavailable(why);
    const silent = this.#silent(search);
    return silent.length > 0
      ? unavailable(`could not ask node ${silent.join(", ")} for its copy`)
      : { kind: "damaged", why: "no copy is good" };
  }

  /** Other members that have not answered, or that nobody has asked yet. */
  #silent({ register, answers }: Search): NodeId[] {
    return register.members.map(({ node }) => node).filter((node) =>
      node !== this.#options.node &&
      (answers.get(node)?.kind ?? "silent") === "silent"
    );
  }

  async #askAll(search: Search, members: readonly NodeId[]): Promise<void> {
    await Promise.all(members.map(async (member) => {
      search.answers.set(member, await this.#answerOf(member, search.id));
    }));
  }

  async #answerOf(member: NodeId, id: string): Promise<MemberAnswer> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<MemberAnswer>((resolve) => {
      timer = setTimeout(() => resolve({ kind: "silent" }), ASK_MS);
    });
    const answer = this.#ask(member, id, false).then(
      answerFrom,
      (): MemberAnswer => ({ kind: "silent" }),
    );
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #ask(peer: NodeId, id: string, content: boolean): Promise<PeerFile> {
    const { pool, files, group } = this.#options;
    return pool.use(peer, async (call) => {
      let answer: PeerFile | undefined;
      for await (const file of askFor(call, [id], { files, group, content })) {
        answer = file;
      }
      if (answer === undefined) throw new Error("the peer did not answer");
      return answer;
    });
  }
}

function answerFrom({ entry, whole, serves }: PeerFile): MemberAnswer {
  if (entry !== undefined) return { kind: "has", entry, serves };
  return whole ? { kind: "never", serves } : { kind: "silent" };
}

function originOf(id: string): NodeId {
  const origin = parseFileId(id)?.origin;
  return typeof origin === "number" ? origin : 0;
}

function unavailable(why: string): FetchOutcome {
  return { kind: "unavailable", why };
}
