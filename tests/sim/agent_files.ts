/**
 * The file side of one simulated agent: changes by clients, reads, looking for
 * what is missing, comparison, tombstone rounds. A mirror of `http/` and of the
 * background work in `sync/`, with the real decisions.
 *
 * @module
 */

import type { NodeId } from "@kedge/schema";
import {
  type Change,
  compareEntries,
  type FileEntry,
} from "@kedge/schema/change";
import { ownerOf } from "@kedge/schema/register";
import { planBucket } from "../../node-agent/sync/compare_core.ts";
import {
  decideFetch,
  fetchOrder,
  type FetchVerdict,
  type MemberAnswer,
} from "../../node-agent/sync/fetch_core.ts";
import { readVerdict } from "../../node-agent/sync/lease_core.ts";
import type { ReplicaEffect } from "../../node-agent/sync/replica_messages.ts";
import {
  type LogReport,
  TombstoneRounds,
} from "../../node-agent/sync/tombstone_core.ts";
import type { FullState, Question, Reply } from "./messages.ts";
import type { CommitResult, SimAgent } from "./sim_agent.ts";
import type { Content, SimRecord } from "./sim_store.ts";

/** The answer to a read. */
export type ReadResult =
  | { readonly kind: "content"; readonly content: Content }
  | { readonly kind: "not-found"; readonly isDeleted: boolean }
  | { readonly kind: "unavailable" };

/** A change that a client wants. */
export interface ChangeRequest {
  readonly kind: "upload" | "append" | "delete";
  /** File to change; a new one for uploads unless the key is known. */
  readonly id: string;
  /** Unique content. */
  readonly token: number;
  readonly level: "A" | "B" | "C";
  readonly large: boolean;
  readonly key: string | undefined;
  readonly then: (result: CommitResult & { readonly id?: string }) => void;
}

/** Read lease and pings in the simulator, in ms. */
export const LEASE_MS = 1500;
const PING_MS = 500;
const ROUND_MS = 900;

/** See the module comment. */
export class AgentFiles {
  readonly #agent: SimAgent;
  readonly #locked = new Set<string>();
  readonly #peerMs = new Map<NodeId, number>();
  readonly #rounds: TombstoneRounds;
  /** Stamps at which fetches and comparisons began that are open. */
  readonly #open = new Map<number, number>();
  #numbers = 0;
  #newest = 0;

  constructor(agent: SimAgent) {
    this.#agent = agent;
    this.#rounds = new TombstoneRounds(agent.node, {
      waitForEverybody: agent.world.rules.tombstoneBarriers,
    });
  }

  start(): void {
    this.#agent.after(PING_MS, () => this.#ping());
    if (this.#agent.world.config.collects) {
      this.#agent.after(ROUND_MS, () => this.#round());
    }
  }

  stop(): void {
    this.#locked.clear();
  }

  // --------------------------------------------------------------- changes

  /** A client's change. */
  change(request: ChangeRequest): void {
    const entry = this.#entryAfter(request);
    if (typeof entry === "string") {
      return request.then({ kind: "refused", why: entry });
    }
    const { id } = entry.entry;
    if (this.#locked.has(id)) {
      return request.then({ kind: "refused", why: "another change runs" });
    }
    this.#locked.add(id);
    const { level, large, key } = request;
    const isAppend = request.kind === "append";
    this.#agent.world.history.attempted(this.#agent, request, entry.entry);
    this.#agent.commit({
      change: entry,
      content: this.#contentOf(request, id),
      level,
      large,
      key,
      origin: isAppend ? entry.entry.origin : undefined,
      then: (result) => {
        this.#locked.delete(id);
        request.then({ ...result, id });
      },
    });
  }

  #contentOf(request: ChangeRequest, id: string): Content | undefined {
    if (request.kind === "delete") return undefined;
    if (request.kind === "append") return [request.token];
    return this.#agent.store.files.get(id)?.content ?? [request.token];
  }

  #entryAfter(request: ChangeRequest): Change | string {
    const { store, core, node, world } = this.#agent;
    const { register } = core;
    if (register === undefined) return "no register";
    const { epoch } = register;
    if (request.kind === "upload") {
      const known = store.keys.get(request.key ?? "");
      const again = known === undefined ? undefined : store.files.get(known);
      // A retry: the same change once more, so that the answer is earned.
      if (again?.content !== undefined) {
        world.mark("retry found its file");
        return { entry: again.entry, body: { kind: "whole" } };
      }
      if (known !== undefined) return "gone or damaged";
      const { id, token } = request;
      // The first try was forgotten here: a real agent makes another ID now.
      if (world.history.isAttempted(token)) return "another file would be made";
      const entry = newEntry({ id, epoch, node, token });
      const createdS = Math.max(0, Math.floor(world.wallMs(node) / 1000));
      return { entry: { ...entry, createdS }, body: { kind: "whole" } };
    }
    const file = store.files.get(request.id);
    if (file === undefined || file.entry.state === "tombstone") {
      return "not here";
    }
    const { entry } = file;
    const version = entry.version + 1;
    if (request.kind === "delete") {
      return {
        entry: { ...entry, state: "tombstone", epoch, version, sizeBytes: 0 },
        body: { kind: "none" },
      };
    }
    if (ownerOf(register, entry.origin) !== node) return "not the owner";
    if (file.content === undefined) return "damaged";
    if (entry.origin !== node) world.mark("owner moved");
    return {
      entry: {
        ...entry,
        epoch,
        version,
        sizeBytes: entry.sizeBytes + 1,
        // Stands for the checksum of the whole content.
        crc32: (Math.imul(entry.crc32, 31) + request.token) >>> 0,
      },
      body: {
        kind: "range",
        offset: entry.sizeBytes,
        lengthBytes: 1,
        baseEpoch: entry.epoch,
        baseVersion: entry.version,
      },
    };
  }

  // ----------------------------------------------------------------- reads

  /** Whether reads are served. */
  verdict() {
    const { core, node, nowMs, trackerMs, world } = this.#agent;
    return readVerdict({
      register: core.register,
      node,
      required: core.requiredPeers(),
      isWhole: core.isWhole(),
      nowMs,
      trackerMs,
      peerMs: this.#peerMs,
      leaseMs: LEASE_MS,
      isolatedReads: world.rules.readLease ? "refuse" : "serve",
    });
  }

  /** A client's read. */
  read(id: string, then: (result: ReadResult) => void): void {
    const verdict = this.verdict();
    const { core, store, world } = this.#agent;
    if (verdict.kind === "refuse" || core.register === undefined) {
      world.mark("read refused");
      return then({ kind: "unavailable" });
    }
    const file = store.files.get(id);
    if (file?.entry.state === "tombstone") {
      return then({ kind: "not-found", isDeleted: true });
    }
    if (verdict.kind === "serve" && file?.content !== undefined) {
      return then({ kind: "content", content: file.content });
    }
    if (verdict.kind === "confirm") world.mark("read confirmed by a peer");
    this.#fetch(id, core.isWhole() && verdict.kind === "serve", then);
  }

  #fetch(
    id: string,
    weKnow: boolean,
    then: (result: ReadResult) => void,
  ): void {
    const { core, node, links, store, world } = this.#agent;
    const { register } = core;
    if (register === undefined) return then({ kind: "unavailable" });
    const close = this.#opened();
    const others = fetchOrder(register, node, 0);
    const answers = new Map<NodeId, MemberAnswer>();
    const contents = new Map<NodeId, FullState>();
    let left = others.length;
    const decide = () => {
      const ours = store.files.get(id);
      const verdict = decideFetch({
        register,
        node,
        weKnow,
        ours: ours?.entry,
        answers,
        rules: world.rules.fetch,
      });
      this.#conclude(id, verdict, contents, close, then);
    };
    if (left === 0) return decide();
    for (const peer of others) {
      links.ask(peer, { kind: "file", id }, (reply) => {
        if (reply?.kind === "has") {
          const { state: { entry }, serves } = reply;
          answers.set(peer, { kind: "has", entry, serves });
          contents.set(peer, reply.state);
        } else if (reply?.kind === "never") {
          answers.set(peer, reply);
        }
        if (--left === 0) decide();
      });
    }
  }

  #conclude(
    id: string,
    verdict: FetchVerdict,
    contents: ReadonlyMap<NodeId, FullState>,
    close: () => void,
    then: (result: ReadResult) => void,
  ): void {
    const { store, world } = this.#agent;
    switch (verdict.kind) {
      case "tombstone":
        this.#adopt([{ entry: verdict.entry, content: undefined }], close);
        return then({ kind: "not-found", isDeleted: true });
      case "absent":
        close();
        world.mark("404 proven");
        return then({ kind: "not-found", isDeleted: false });
      case "unavailable":
        close();
        world.mark("503 instead of 404");
        return then({ kind: "unavailable" });
      case "found": {
        const ours = store.files.get(id);
        const isOurs = ours?.content !== undefined &&
          compareEntries(ours.entry, verdict.entry) >= 0;
        const content = isOurs
          ? ours?.content
          : verdict.from.map((node) => contents.get(node)?.content)
            .find((bytes) => bytes !== undefined);
        if (content === undefined) {
          close();
          return then({ kind: "unavailable" });
        }
        if (isOurs) close();
        else {
          world.mark("fetched and kept");
          this.#adopt([{ entry: verdict.entry, content }], close);
        }
        return then({ kind: "content", content });
      }
    }
  }

  /** The content of a record whose base is not here. */
  contentFor(
    peer: NodeId,
    record: SimRecord,
    then: (isLost: boolean) => void,
  ): void {
    const { links } = this.#agent;
    const close = this.#opened();
    const { id } = record.change.entry;
    links.ask(peer, { kind: "file", id }, (reply) => {
      const state = reply?.kind === "has" ? reply.state : undefined;
      const isWhole = state?.content !== undefined ||
        state?.entry.state === "tombstone";
      if (state === undefined || !isWhole) {
        close();
        // The bytes are gone where they were made: the log must go on.
        return this.#agent.after(100, () => then(state !== undefined));
      }
      this.#adopt([state], () => {
        close();
        then(false);
      });
    });
  }

  // ------------------------------------------------------------- questions

  /** A peer asks. */
  question(
    _peer: NodeId,
    question: Question,
    reply: (reply: Reply) => void,
  ): void {
    const { store, core } = this.#agent;
    const epoch = core.register?.epoch ?? 0;
    switch (question.kind) {
      case "file": {
        const state = store.files.get(question.id);
        const serves = this.verdict().kind === "serve" && core.isWhole();
        if (state !== undefined) return reply({ kind: "has", state, serves });
        if (!core.isWhole()) return reply({ kind: "silent" });
        return reply({ kind: "never", serves });
      }
      case "listing":
        if (question.epoch !== epoch) return reply({ kind: "silent" });
        return reply({ kind: "listing", states: [...store.files.values()] });
      case "give": {
        const close = this.#opened();
        return this.#adopt(question.states, () => {
          close();
          reply({ kind: "done" });
        });
      }
      case "ping":
        return reply({ kind: "pong", epoch });
      case "report":
        return reply({ kind: "report", report: this.#report() });
    }
  }

  /** Compare with a peer, both ways, for the core. */
  compare(effect: ReplicaEffect & { readonly kind: "compare" }): void {
    const { links, world } = this.#agent;
    const { peer, epoch } = effect;
    const close = this.#opened();
    const done = (ok: boolean) => {
      close();
      world.mark(ok ? "compared" : "comparison failed");
      this.#agent.feed({ kind: "compared", donor: peer, epoch, ok });
    };
    links.ask(peer, { kind: "listing", epoch }, (reply) => {
      if (reply?.kind !== "listing") {
        return this.#agent.after(1, () => done(false));
      }
      this.#merge(peer, reply.states, done);
    });
  }

  #merge(
    peer: NodeId,
    theirs: readonly FullState[],
    done: (ok: boolean) => void,
  ): void {
    const { store, links, world } = this.#agent;
    const ours = [...store.files.values()];
    const byId = new Map(theirs.map((state) => [state.entry.id, state]));
    const plan = planBucket(
      ours.map((file) => file.entry),
      theirs.map((state) => state.entry),
    );
    if (plan.conflicts.length > 0) {
      this.#agent.fail("I18", `two contents of ${plan.conflicts.join()}`);
    }
    const take = plan.take.flatMap((entry) => byId.get(entry.id) ?? []);
    // The same state whose bytes are damaged here is taken again.
    for (const file of ours) {
      const their = byId.get(file.entry.id);
      if (file.content !== undefined || their?.content === undefined) continue;
      if (compareEntries(file.entry, their.entry) === 0) take.push(their);
    }
    if (plan.take.length > 0) world.mark("comparison took");
    const give = plan.give.flatMap((entry) => store.files.get(entry.id) ?? []);
    if (give.length > 0) world.mark("comparison gave");
    this.#adopt(take, () => {
      if (give.length === 0) return done(true);
      links.ask(
        peer,
        { kind: "give", states: give },
        (reply) => this.#agent.after(0.1, () => done(reply?.kind === "done")),
      );
    });
  }

  /** Store states from outside of logs; calls back when they are durable. */
  #adopt(states: readonly FullState[], then: () => void): void {
    const { disk, store } = this.#agent;
    disk.write(true, {
      store: () => {
        for (const { entry, content } of states) store.adopt(entry, content);
        return {};
      },
      durable: then,
    });
  }

  /** A fetch or comparison begins; call the result when it ends. */
  #opened(): () => void {
    const number = ++this.#numbers;
    this.#open.set(number, ++this.#newest);
    return () => {
      this.#open.delete(number);
    };
  }

  // ------------------------------------------------------------ background

  #ping(): void {
    const { core, links } = this.#agent;
    const epoch = core.register?.epoch ?? 0;
    for (const peer of links.greeted()) {
      const sentMs = this.#agent.nowMs;
      links.ask(peer, { kind: "ping", epoch }, (reply) => {
        if (reply?.kind !== "pong") return;
        if (reply.epoch === core.register?.epoch) {
          this.#peerMs.set(peer, sentMs);
        }
      }, PING_MS);
    }
    this.#agent.after(PING_MS, () => this.#ping());
  }

  #round(): void {
    const { core, store } = this.#agent;
    const { register } = core;
    this.#agent.after(ROUND_MS, () => this.#round());
    if (register === undefined || !core.isWhole()) return;
    const members = register.members.map((member) => member.node);
    const set = { epoch: register.epoch, members, insync: register.insync };
    if (!this.#rounds.begin(set, store.stamp)) {
      this.#agent.world.mark("tombstone round blocked");
      return;
    }
    this.#askReports(register.epoch, members, 6);
  }

  #askReports(
    epoch: number,
    members: readonly NodeId[],
    times: number,
  ): void {
    const { core, links, node } = this.#agent;
    if (times === 0 || core.register?.epoch !== epoch) {
      return this.#rounds.abandon();
    }
    for (const member of members) {
      if (member === node) {
        this.#take(node, this.#report());
        continue;
      }
      links.ask(member, { kind: "report" }, (reply) => {
        if (reply?.kind !== "report" || core.register?.epoch !== epoch) return;
        this.#take(member, reply.report);
      });
    }
    this.#agent.after(120, () => {
      if (this.#rounds.active) this.#askReports(epoch, members, times - 1);
    });
  }

  #take(from: NodeId, report: LogReport): void {
    const openSince = this.#open.size === 0
      ? undefined
      : Math.min(...this.#open.values());
    const upTo = this.#rounds.report(from, report, {
      stamp: this.#newest,
      openSince,
    });
    if (upTo === undefined) return;
    const { disk, store, world } = this.#agent;
    disk.write(false, {
      store: () => {
        const ids = store.collect(upTo);
        if (ids.length > 0) world.mark("tombstones collected");
        world.history.collected(ids);
        return {};
      },
    });
  }

  #report(): LogReport {
    const { store, node, log, disk } = this.#agent;
    const earlier = store.runs()
      .filter(({ incarnation }) => incarnation < store.incarnation)
      .map(({ incarnation, lastSequence }) => ({
        origin: node,
        incarnation,
        sequence: lastSequence,
      }));
    const present = { origin: node, incarnation: store.incarnation };
    const positions = [...store.durablePositions].flatMap(([origin, held]) =>
      [...held].map(([incarnation, sequence]) => ({
        origin,
        incarnation,
        sequence,
      }))
    );
    return {
      ends: [...earlier, { ...present, sequence: log.length }],
      positions: [
        ...positions,
        ...earlier,
        { ...present, sequence: disk.durableHead },
      ],
    };
  }
}

function newEntry(
  options: {
    readonly id: string;
    readonly epoch: number;
    readonly node: NodeId;
    readonly token: number;
  },
): FileEntry {
  return {
    id: options.id,
    state: "present",
    epoch: options.epoch,
    version: 1,
    origin: options.node,
    sizeBytes: 1,
    crc32: options.token,
    sha256: null,
    type: null,
    name: null,
    meta: {},
    createdS: 0,
    appender: true,
    master: null,
  };
}
