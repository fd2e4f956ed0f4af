/**
 * A group in memory whose members, register and failures a test chooses.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import type {
  GroupRegister,
  GroupSettings,
  Level,
  NodeId,
  PeerInfo,
  SigningKey,
} from "@kedge/schema";
import type { Change } from "@kedge/schema/change";
import { ownerOf } from "@kedge/schema/register";
import type {
  Commitment,
  ContentSource,
  FetchOutcome,
  Relay,
  Replicator,
} from "../../node-agent/ports.ts";
import { type FakeFiles, GROUP } from "./fake_files.ts";

/** What a test sets of the group. */
export interface FakeGroupOptions {
  readonly node?: NodeId;
  readonly members?: readonly NodeId[];
  readonly insync?: readonly NodeId[];
}

/** A group of which one node is real enough. */
export class FakeReplicator implements Replicator {
  /** The register; a test may replace it. */
  current: GroupRegister;
  /** What operators chose. */
  groupSettings: GroupSettings = { level: "B", fileBytesMax: 2 ** 40 };
  /** Every change with its level, in order. */
  readonly committed: { change: Change; level: Level }[] = [];
  /** Thrown by the next commits. */
  commitFailure: Problem | undefined;
  /** Waited for before a commit is made. */
  gate: Promise<void> | undefined;
  /** What the group says about a file; "absent" otherwise. */
  readonly outcomes: Map<string, FetchOutcome> = new Map();
  /** Runs when a file is asked for, such as to put a copy back. */
  onFetch: ((id: string) => void) | undefined;
  /** IDs that were asked for. */
  readonly fetched: string[] = [];
  /** Answer of {@linkcode mayRead}. */
  readable: ReturnType<Replicator["mayRead"]> = { ok: true };
  /** Answer of {@linkcode mayWrite}. */
  writable: ReturnType<Replicator["mayWrite"]> = { ok: true };
  /** Relays that were opened, with what became of them. */
  readonly relays: { bytes: number; end: "" | "finished" | "aborted" }[] = [];
  readonly #files: FakeFiles;
  readonly #node: NodeId;
  readonly #keys: SigningKey[];

  /** A group around these files. */
  constructor(
    files: FakeFiles,
    keys: SigningKey[],
    options: FakeGroupOptions = {},
  ) {
    this.#files = files;
    this.#keys = keys;
    this.#node = options.node ?? 1;
    const members = options.members ?? [1, 2];
    this.current = {
      group: GROUP,
      gen: crypto.randomUUID(),
      epoch: 3,
      members: members.map((node) => ({ node, store: crypto.randomUUID() })),
      insync: [...(options.insync ?? members)],
    };
  }

  /** The register. */
  register(): GroupRegister {
    return this.current;
  }

  /** What operators chose. */
  settings(): GroupSettings {
    return this.groupSettings;
  }

  /** The other members. */
  peers(): readonly PeerInfo[] {
    return this.current.members.filter(({ node }) => node !== this.#node)
      .map(({ node }) => ({
        node,
        peerAddress: { hostname: "127.0.0.1", port: 7000 + node },
        url: `http://node${node}.test`,
      }));
  }

  /** Keys that verify capabilities. */
  signingKeys(): readonly SigningKey[] {
    return this.#keys;
  }

  /** Log a change here and on all in-sync members. */
  async commit(
    change: Change,
    content: ContentSource,
    level: Level,
    idempotencyKey?: string,
  ): Promise<Commitment> {
    await this.gate;
    if (this.commitFailure !== undefined) throw this.commitFailure;
    const { insync } = this.current;
    if (!insync.includes(this.#node)) {
      throw new Problem("not-in-sync", "This node is not in sync");
    }
    this.committed.push({ change, level });
    this.#files.apply(change, content);
    const { id, sha256 } = change.entry;
    if (idempotencyKey !== undefined) {
      this.#files.keys.set(idempotencyKey, { id, sha256: sha256 ?? "" });
    }
    return { level, holders: level === "A" ? [this.#node] : [...insync] };
  }

  /** Ask the group. */
  fetch(
    id: string,
    purpose: "repair" | "confirm" = "repair",
  ): Promise<FetchOutcome> {
    this.fetched.push(purpose === "repair" ? id : `${purpose} ${id}`);
    this.onFetch?.(id);
    return Promise.resolve(this.outcomes.get(id) ?? { kind: "absent" });
  }

  /** A relay that only counts. */
  openRelay(): Relay {
    const state: FakeReplicator["relays"][number] = { bytes: 0, end: "" };
    this.relays.push(state);
    return {
      write(bytes) {
        state.bytes += bytes.length;
        return Promise.resolve();
      },
      finish() {
        state.end = "finished";
        return Promise.resolve();
      },
      abort() {
        state.end = "aborted";
      },
    };
  }

  /** By the register. */
  ownerOf(origin: NodeId): NodeId | undefined {
    return ownerOf(this.current, origin);
  }

  /** As set. */
  mayRead(): ReturnType<Replicator["mayRead"]> {
    return this.readable;
  }

  /** As set. */
  mayWrite(): ReturnType<Replicator["mayWrite"]> {
    return this.writable;
  }
}
