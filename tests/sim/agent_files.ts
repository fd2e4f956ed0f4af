/**
 * The file side of one simulated agent: changes by clients, reads, looking for
 * what is missing, comparison, tombstone rounds. A mirror of `http/` and of the
 * background work in `sync/`, with the real decisions.
 *
 * @module
 */

import type { NodeId } from "@kedge/schema";
import { type Change, compareEntries } from "@kedge/schema/change";
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
import type { FullState, Question, Reply } from "./messages.ts";
import type { SimAgent } from "./sim_agent.ts";
import type { Content, SimRecord } from "./sim_store.ts";
import { AgentTombstones } from "./agent_tombstones.ts";
import { appended, newEntry } from "./sim_entry.ts";
import {
  type ChangeRequest,
  LEASE_MS,
  type ReadResult,
} from "./client_requests.ts";

/** Pause between two pings, in ms. */
const PING_MS = 500;

/** See the module comment. */
export class AgentFiles {
  readonly #agent: SimAgent;
  readonly #locked = new Set<string>();
  readonly #peerMs = new Map<NodeId, number>();
  readonly #tombstones: AgentTombstones;

  constructor(agent: SimAgent) {
    this.#agent = agent;
    this.#tombstones = new AgentTombstones(agent);
  }

  start(): void {
    this.#agent.after(PING_MS, () => this.#ping());
    this.#tombstones.start();
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
    return appended(entry, { epoch, token: request.token });
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
    const close = this.#tombstones.opened();
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
    const close = this.#tombstones.opened();
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
        const close = this.#tombstones.opened();
        return this.#adopt(question.states, () => {
          close();
          reply({ kind: "done" });
        });
      }
      case "ping":
        return reply({ kind: "pong", epoch });
      case "report":
        return reply({ kind: "report", report: this.#tombstones.report() });
    }
  }

  /** Compare with a peer, both ways, for the core. */
  compare(effect: ReplicaEffect & { readonly kind: "compare" }): void {
    const { links, world } = this.#agent;
    const { peer, epoch } = effect;
    const close = this.#tombstones.opened();
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
}
