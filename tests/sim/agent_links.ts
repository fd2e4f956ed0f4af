/**
 * The links of one simulated agent: greeting, pushing its log, applying the logs
 * of others, questions. A mirror of the shell in `node-agent/sync/`.
 *
 * @module
 */

import type { NodeId } from "@kedge/schema";
import {
  isBehindCut,
  judgeBatch,
} from "../../node-agent/sync/positions_core.ts";
import type {
  LinkRef,
  ReplicaEffect,
} from "../../node-agent/sync/replica_messages.ts";
import type { Held, Message, Question, Reply } from "./messages.ts";
import { heldOf, type Link, pump, standingOf } from "./agent_pump.ts";
import type { SimAgent } from "./sim_agent.ts";
import type { Positions, SimRecord } from "./sim_store.ts";

type BatchMessage = Message & { readonly kind: "batch" };

interface InBatch {
  readonly link: Link;
  readonly message: BatchMessage;
  readonly skip: number;
}

/** How long a question may take, in ms. */
const ANSWER_MS = 700;

/** See the module comment. */
export class AgentLinks {
  readonly #agent: SimAgent;
  readonly #links = new Map<NodeId, Link>();
  readonly #batches = new Map<number, InBatch>();
  /** By origin and incarnation: taken in, stored or about to be. */
  readonly #taken = new Map<NodeId, Positions>();
  /** Origins of which something was stored since the last flush. */
  readonly #unflushed = new Set<NodeId>();
  /** Records whose bytes are nowhere any more. */
  readonly #lost = new Set<number>();
  /** What peers were known to have flushed of our log, and with which store. */
  readonly #known = new Map<NodeId, { store: string; durable: Held }>();
  #numbers = 0;

  constructor(agent: SimAgent) {
    this.#agent = agent;
  }

  /** Peers that are connected and greeted. */
  greeted(): NodeId[] {
    return [...this.#links.values()].filter((link) => link.isGreeted)
      .map((link) => link.peer);
  }

  connected(peer: NodeId, session: number): void {
    this.broken(peer, this.#links.get(peer)?.session ?? -1);
    const { store } = this.#agent;
    const { cut } = store;
    const held = heldOf(store.positions.get(peer));
    this.#links.set(peer, {
      peer,
      session,
      isGreeted: false,
      held: [],
      durable: [],
      toldHeld: held,
      toldCut: cut,
      cut: undefined,
      sends: false,
      cursor: undefined,
      questions: new Map(),
    });
    const durable = heldOf(store.durablePositions.get(peer));
    this.#send(peer, { kind: "hello", store: store.id, held, durable, cut });
  }

  broken(peer: NodeId, session: number): void {
    const link = this.#links.get(peer);
    if (link?.session !== session) return;
    this.#links.delete(peer);
    // What was taken in but not stored comes again over the next link.
    for (const [number, batch] of this.#batches) {
      if (batch.link === link) this.#batches.delete(number);
    }
    for (const answer of link.questions.values()) answer(undefined);
    if (link.isGreeted) this.#agent.feed({ kind: "unlinked", peer, session });
  }

  receive(peer: NodeId, session: number, message: Message): void {
    const link = this.#links.get(peer);
    if (link?.session !== session) return;
    const { epoch } = { epoch: 0, ...message };
    switch (message.kind) {
      case "hello":
        return this.#onHello(link, message);
      case "register":
        return this.#agent.feed(message);
      case "batch":
        return this.#onBatch(link, message);
      case "ack":
        return this.#onAck(link, message);
      case "reject":
        this.#agent.world.mark("records refused");
        return this.#agent.feed({ kind: "refused", peer, session, epoch });
      case "join":
        return this.#agent.feed({
          kind: "join-requested",
          peer,
          session,
          epoch,
        });
      case "promise":
        return this.#agent.feed({ kind: "promised", peer, session, epoch });
      case "ask":
        return this.#agent.files.question(
          peer,
          message.question,
          (reply) =>
            this.#send(peer, { kind: "reply", number: message.number, reply }),
        );
      case "reply": {
        const answer = link.questions.get(message.number);
        link.questions.delete(message.number);
        return answer?.(message.reply);
      }
    }
  }

  /** Ask a peer something. No answer in time is `undefined`. */
  ask(
    peer: NodeId,
    question: Question,
    then: (reply: Reply | undefined) => void,
    timeoutMs: number = ANSWER_MS,
  ): void {
    const link = this.#links.get(peer);
    if (link === undefined || !link.isGreeted) return then(undefined);
    const number = ++this.#numbers;
    link.questions.set(number, then);
    this.#send(peer, { kind: "ask", number, question });
    this.#agent.after(timeoutMs, () => {
      if (link.questions.delete(number)) then(undefined);
    });
  }

  /** Something new is in our log. */
  pumpAll(): void {
    for (const link of this.#links.values()) pump(this.#agent, link);
  }

  /** Everything stored is durable: say so. */
  flushed(): void {
    for (const peer of this.#unflushed) {
      // Greeted or not: our greeting said less, and comes before this.
      const link = this.#links.get(peer);
      if (link !== undefined) this.#acknowledge(link);
    }
    this.#unflushed.clear();
  }

  /** Carry out an effect that belongs to a link. */
  perform(effect: Extract<ReplicaEffect, LinkRef>): void {
    const { peer, session } = effect;
    const link = this.#links.get(peer);
    if (link?.session !== session) return;
    switch (effect.kind) {
      case "send":
        link.sends = true;
        link.cursor = undefined;
        return pump(this.#agent, link);
      case "skip":
        return this.#skip(link);
      case "tell-register":
        return this.#send(peer, {
          kind: "register",
          register: effect.register,
        });
      case "apply":
        return this.#apply(effect.batch);
      case "reject":
        this.#batches.delete(effect.batch);
        return this.#send(peer, { kind: "reject", epoch: effect.epoch });
      case "acknowledge":
        return this.#acknowledge(link);
      case "request-join":
        return this.#send(peer, { kind: "join", epoch: effect.epoch });
      case "promise":
        this.#agent.world.mark("promised");
        return this.#send(peer, { kind: "promise", epoch: effect.epoch });
      case "drop-link":
        this.#agent.world.mark("link dropped");
        return this.#agent.world.net.close(this.#agent.node, peer, session);
      case "compare":
        return;
      default:
        return effect satisfies never;
    }
  }

  // --------------------------------------------------------------- sending

  #onHello(link: Link, message: Message & { readonly kind: "hello" }): void {
    const { peer, session } = link;
    const { store, held, durable, cut } = message;
    link.isGreeted = true;
    link.held = held;
    link.durable = durable;
    link.cut = cut;
    this.#known.set(peer, { store, durable });
    this.#taken.delete(peer);
    const isCut = isBehindCut(cut, link.toldHeld);
    if (isCut) this.#agent.world.mark("behind a cut log");
    this.#agent.feed({
      kind: "linked",
      peer,
      session,
      store,
      ...standingOf(this.#agent, held, durable),
      isCut,
    });
  }

  #onAck(link: Link, message: Message & { readonly kind: "ack" }): void {
    link.held = message.held;
    link.durable = message.durable;
    const store = this.#known.get(link.peer)?.store ?? "";
    this.#known.set(link.peer, { store, durable: link.durable });
    pump(this.#agent, link);
    const { knowsMore: _, ...standing } = standingOf(
      this.#agent,
      message.held,
      message.durable,
    );
    const { peer, session } = link;
    this.#agent.feed({ kind: "acked", peer, session, ...standing });
  }

  // ------------------------------------------------------------- receiving

  #onBatch(link: Link, message: BatchMessage): void {
    const { peer, session } = link;
    const taken = this.#takenOf(peer);
    const held = taken.get(message.incarnation) ?? 0;
    const verdict = judgeBatch(held, message.first, message.records.length);
    if (verdict.kind === "known") return this.#acknowledge(link);
    if (verdict.kind === "gap" && this.#agent.world.rules.refuseGaps) {
      this.#agent.world.mark("gap ignored");
      return;
    }
    const skip = verdict.kind === "apply" ? verdict.skip : 0;
    const batch = ++this.#numbers;
    this.#batches.set(batch, { link, message, skip });
    const { epoch } = message;
    this.#agent.feed({ kind: "pushed", peer, session, epoch, batch });
  }

  #takenOf(origin: NodeId): Positions {
    let taken = this.#taken.get(origin);
    if (taken === undefined) {
      taken = new Map(this.#agent.store.positions.get(origin));
      this.#taken.set(origin, taken);
    }
    return taken;
  }

  #apply(number: number): void {
    const batch = this.#batches.get(number);
    if (batch === undefined) return;
    const { message, skip, link } = batch;
    const { incarnation, first, records } = message;
    const last = first + records.length - 1;
    this.#takenOf(link.peer).set(incarnation, last);
    if (!this.#agent.world.rules.storeBeforeAck) {
      this.#claim(link, incarnation, last);
    }
    records.forEach((record, index) => {
      if (index < skip) return;
      const isLast = index === records.length - 1;
      this.#store(batch, first + index, record, isLast ? number : undefined);
    });
  }

  #store(
    batch: InBatch,
    sequence: number,
    record: SimRecord,
    number: number | undefined,
  ): void {
    const { link, message: { incarnation } } = batch;
    const { disk, world } = this.#agent;
    disk.write(false, {
      store: () => {
        this.#storeNow(link, incarnation, sequence, record);
        return {};
      },
      written: () => {
        if (number === undefined) return;
        this.#batches.delete(number);
        if (this.#links.get(link.peer) !== link) return;
        const { peer, session } = link;
        world.mark("records applied");
        this.#agent.feed({ kind: "applied", peer, session, batch: number });
      },
    });
  }

  #storeNow(
    link: Link,
    incarnation: number,
    sequence: number,
    record: SimRecord,
  ): void {
    const { store, world, files } = this.#agent;
    const held = store.positions.get(link.peer)?.get(incarnation) ?? 0;
    if (sequence <= held) return;
    // Records after one that waits for its content wait too.
    if (sequence > held + 1 && world.rules.refuseGaps) return;
    world.history.applied(this.#agent, {
      origin: link.peer,
      incarnation,
      sequence,
      record,
    });
    this.#unflushed.add(link.peer);
    const isHole = record.isHole || this.#lost.has(record.serial);
    const taken = isHole ? { ...record, isHole } : record;
    const stored = store.apply(link.peer, incarnation, sequence, taken);
    if (stored !== "needs-content") return;
    world.mark("record without its base");
    files.contentFor(link.peer, record, (isLost) => {
      if (isLost) this.#lost.add(record.serial);
      this.#startOver(link);
    });
  }

  /** A comparison has brought what the peer has forgotten of its log. */
  #skip(link: Link): void {
    const { peer, cut } = link;
    const { disk, store, world } = this.#agent;
    if (cut === undefined) return;
    disk.write(true, {
      store: () => {
        world.mark("skipped what a peer forgot");
        world.history.skipped(this.#agent, peer, cut);
        store.skip(peer, cut);
        const taken = this.#takenOf(peer);
        const { incarnation, sequence } = cut;
        taken.set(incarnation, Math.max(taken.get(incarnation) ?? 0, sequence));
        return {};
      },
      durable: () => this.#acknowledge(link),
    });
  }

  /** What members have flushed of our log, as far as is known in this life. */
  flushedBy(peer: NodeId, store: string): Held | undefined {
    const known = this.#known.get(peer);
    return known?.store === store ? known.durable : undefined;
  }

  /** Positions did not move: let the peer send from there again. */
  #startOver(link: Link): void {
    this.#taken.delete(link.peer);
    if (this.#links.get(link.peer) !== link) return;
    const { net } = this.#agent.world;
    net.close(this.#agent.node, link.peer, link.session);
  }

  #acknowledge(link: Link): void {
    const { store } = this.#agent;
    this.#send(link.peer, {
      kind: "ack",
      held: heldOf(store.positions.get(link.peer)),
      durable: heldOf(store.durablePositions.get(link.peer)),
    });
  }

  /** Only for the mutation test: say what is not so. */
  #claim(link: Link, incarnation: number, sequence: number): void {
    const held = [{ incarnation, sequence }];
    this.#send(link.peer, { kind: "ack", held, durable: held });
  }

  #send(peer: NodeId, message: Message): void {
    const link = this.#links.get(peer);
    if (link === undefined) return;
    this.#agent.world.net.send(this.#agent.node, peer, link.session, message);
  }
}
