/**
 * What is said over the control connections: our log to the peers, their logs
 * to us, registers, promises. Translates between frames and the replica core.
 *
 * A frame that is wrong closes its connection with a line in the log; nothing of
 * it is stored.
 *
 * @module
 */

import { INLINE_BODY_BYTES_MAX, type NodeId } from "@kedge/schema";
import { GroupRegister } from "@kedge/schema/register";
import type { Frame, FrameKind } from "@kedge/schema/wire/frame";
import {
  decodeAck,
  decodeRecords,
  decodeReject,
  encodeAck,
  encodeReject,
} from "@kedge/schema/wire/records";
import {
  decodeText,
  encodeText,
  EpochBody,
  type LinkState,
} from "@kedge/schema/wire/sync";
import type { LogPlace } from "../ports.ts";
import { LogSender } from "./log_sender.ts";
import { OriginInbox } from "./origin_inbox.ts";
import type { ControlLink } from "./peer_links.ts";
import { isBehindCut } from "./positions_core.ts";
import { PushedBatches } from "./pushed_batches.ts";
import type { LinkRef } from "./replica_messages.ts";
import { refOf, type Session, type SessionsOptions } from "./session.ts";

/** See the module comment. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #sessions = new Map<NodeId, Session>();
  readonly #inboxes = new Map<NodeId, OriginInbox>();
  readonly #batches = new PushedBatches();

  /** No connection yet. */
  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /** Every standing connection. */
  all(): IterableIterator<Session> {
    return this.#sessions.values();
  }

  /** The connection to a peer. */
  get(peer: NodeId): Session | undefined {
    return this.#sessions.get(peer);
  }

  /** A peer has told its state: go on from there. */
  linked(control: ControlLink, theirs: LinkState, ours: LinkState): void {
    const { input, log, recent } = this.#options;
    const session: Session = {
      control,
      toldEpoch: ours.register.epoch,
      cut: theirs.cut,
      sender: undefined,
      isAckDue: false,
    };
    this.#sessions.set(control.peer, session);
    this.#inboxes.get(control.peer)?.unlinked();
    if (theirs.register.group === this.#options.group) {
      input({ kind: "register", register: theirs.register });
    }
    const sender = new LogSender({
      link: control.link,
      log,
      recent,
      positions: theirs.positions,
      toldCut: ours.cut,
      recordBytesMax: theirs.recordBytesMax ?? INLINE_BODY_BYTES_MAX,
      epoch: () => session.toldEpoch,
      pace: (bytes, files) => this.#options.pace(control.peer, bytes, files),
    });
    session.sender = sender;
    const isCut = isBehindCut(theirs.cut, ours.positions);
    if (!isCut) void this.#forgetRuns(session);
    // What a peer tells in its state, it has flushed.
    const { written, lacksEarlier, knowsMore } = sender.standing;
    input({
      kind: "linked",
      ...refOf(session),
      store: control.store,
      written,
      durable: written,
      lacksEarlier,
      knowsMore,
      isCut,
    });
  }

  /** A connection is gone. */
  unlinked(control: ControlLink): void {
    const session = this.#sessions.get(control.peer);
    if (session?.control !== control) return;
    this.#sessions.delete(control.peer);
    session.sender?.stop();
    this.#batches.unlinked(session);
    this.#inboxes.get(control.peer)?.unlinked();
    this.#options.input({ kind: "unlinked", ...refOf(session) });
  }

  /** Bytes of a peer's changes that wait to be stored here. */
  waitingBytes(peer: NodeId): number {
    return this.#inboxes.get(peer)?.waitingBytes ?? 0;
  }

  /** What a peer has flushed of our log; `undefined` without a connection. */
  flushedBy(peer: NodeId): {
    readonly store: string;
    readonly flushed: readonly LogPlace[];
  } | undefined {
    const session = this.#sessions.get(peer);
    if (session?.sender === undefined) return undefined;
    const { store } = session.control;
    return { store, flushed: session.sender.flushed };
  }

  /** There is a new record of ours; `isAwaited` when somebody waits for it. */
  poke(isAwaited: boolean): void {
    for (const { sender } of this.#sessions.values()) {
      if (isAwaited) sender?.poke();
      else sender?.pokeSoon();
    }
  }

  /** Stop all timers. */
  close(): void {
    for (const inbox of this.#inboxes.values()) inbox.close();
  }

  // -------------------------------------------------------------- effects

  /** Send our log from the peer's position on. */
  send(ref: LinkRef): void {
    this.#find(ref)?.sender?.start();
  }

  /** Tell a peer our register; from now on frames carry its epoch. */
  tellRegister(ref: LinkRef, register: GroupRegister): void {
    const session = this.#find(ref);
    if (session === undefined) return;
    session.toldEpoch = register.epoch;
    this.#say(session, "register", [encodeText(register)]);
    session.sender?.poke();
  }

  /** The core takes a batch. */
  apply(ref: LinkRef, batch: number): void {
    const pushed = this.#batches.accept(batch);
    if (pushed === undefined) return;
    const { session, body, durable, bytes, memory } = pushed;
    const inbox = this.#inbox(ref.peer);
    if (!inbox.apply(batch, body, { durable, bytes, memory })) {
      this.#fault(session, "sent more than its window");
    }
  }

  /** The core refuses a batch because of its epoch. */
  reject(ref: LinkRef, batch: number, epoch: number): void {
    this.#batches.reject(batch);
    this.#inbox(ref.peer).reject();
    const session = this.#find(ref);
    if (session === undefined) return;
    this.#say(session, "reject", [encodeReject(epoch)]);
  }

  /** What a peer has forgotten of its log is here, by comparison. */
  async skip(ref: LinkRef): Promise<void> {
    const { logger } = this.#options;
    const cut = this.#find(ref)?.cut;
    if (cut === undefined) return;
    const { peer } = ref;
    if (!await this.#inbox(peer).skip(cut)) return;
    logger.info("skipped records that their node has forgotten", {
      peer,
      ...cut,
    });
    this.acknowledge(ref);
    await this.#forgetRuns(this.#find(ref));
  }

  /** Positions in runs that a peer has no records of are of no use. */
  async #forgetRuns(session: Session | undefined): Promise<void> {
    if (session?.cut === undefined) return;
    const { peer } = session.control;
    await this.#inbox(peer).forgetRuns(session.cut.incarnation);
  }

  /** Tell a peer what is stored here, once per turn. */
  acknowledge(ref: LinkRef): void {
    const session = this.#find(ref);
    if (session === undefined || session.isAckDue) return;
    session.isAckDue = true;
    queueMicrotask(() => {
      session.isAckDue = false;
      const ack = this.#inbox(ref.peer).ack();
      this.#say(session, "ack", [encodeAck(ack)]);
    });
  }

  /** Ask a peer to wait for us, or promise to wait for it. */
  sayEpoch(ref: LinkRef, kind: "join-request" | "promise", epoch: number) {
    const session = this.#find(ref);
    if (session !== undefined) {
      this.#say(session, kind, [encodeText({ epoch })]);
    }
  }

  /** Ask for a report or give one; `false` when there is no connection. */
  sayReport(
    peer: NodeId,
    kind: "report-request" | "report",
    body: unknown,
  ): boolean {
    const session = this.get(peer);
    if (session === undefined) return false;
    this.#say(session, kind, [encodeText(body)]);
    return true;
  }

  /** Close a connection. */
  drop(ref: LinkRef, why: string): void {
    const session = this.#find(ref);
    if (session === undefined) return;
    this.#options.logger.warn("dropped a link", { peer: ref.peer, why });
    session.control.link.close(why);
  }

  // --------------------------------------------------------------- frames

  /** A frame has come over a control connection. */
  frame(control: ControlLink, frame: Frame): void {
    const session = this.#sessions.get(control.peer);
    if (session?.control !== control) return;
    const fault = this.#take(session, frame);
    if (fault !== undefined) this.#fault(session, fault);
  }

  #take(session: Session, frame: Frame): string | undefined {
    switch (frame.kind) {
      case "records":
        return this.#onRecords(session, frame);
      case "ack":
        return this.#onAck(session, frame);
      case "reject":
        return this.#onReject(session, frame);
      case "register":
        return this.#onRegister(frame);
      case "join-request":
      case "promise":
        return this.#onEpoch(session, frame);
      case "report-request":
      case "report":
        return this.#options.onReport(session.control.peer, frame);
      default:
        return `${frame.kind} does not belong on a control connection`;
    }
  }

  #onRecords(session: Session, frame: Frame): string | undefined {
    const decoded = decodeRecords(frame.body, this.#options.group);
    if (!decoded.ok) return decoded.fault;
    const arrival = this.#inbox(session.control.peer).arrive(decoded.value);
    if (arrival.kind === "fault") return arrival.fault;
    if (arrival.kind === "rejected-before") return undefined;
    const batch = this.#batches.add({
      session,
      body: arrival.body,
      durable: frame.durable,
      bytes: frame.body.length,
      memory: frame.body.buffer,
    });
    this.#options.input({
      kind: "pushed",
      ...refOf(session),
      epoch: frame.epoch,
      batch,
    });
  }

  #onAck(session: Session, frame: Frame): string | undefined {
    const decoded = decodeAck(frame.body);
    if (!decoded.ok) return decoded.fault;
    const { sender } = session;
    if (sender?.onAck(decoded.value) !== true) {
      return "acknowledges records that were not sent";
    }
    const { written, durable, lacksEarlier } = sender.standing;
    this.#options.input({
      kind: "acked",
      ...refOf(session),
      written,
      durable,
      lacksEarlier,
    });
  }

  #onReject(session: Session, frame: Frame): string | undefined {
    const decoded = decodeReject(frame.body);
    if (!decoded.ok) return decoded.fault;
    session.sender?.onReject(decoded.value);
    const epoch = decoded.value;
    this.#options.input({ kind: "refused", ...refOf(session), epoch });
  }

  #onRegister(frame: Frame): string | undefined {
    const decoded = decodeText(GroupRegister, frame.body);
    if (!decoded.ok) return decoded.fault;
    if (decoded.value.group !== this.#options.group) {
      return "told the register of another group";
    }
    this.#options.input({ kind: "register", register: decoded.value });
  }

  #onEpoch(session: Session, frame: Frame): string | undefined {
    const decoded = decodeText(EpochBody, frame.body);
    if (!decoded.ok) return decoded.fault;
    const kind = frame.kind === "promise" ? "promised" : "join-requested";
    const { epoch } = decoded.value;
    this.#options.input({ kind, ...refOf(session), epoch });
  }

  // ---------------------------------------------------------------- inside

  #inbox(origin: NodeId): OriginInbox {
    const known = this.#inboxes.get(origin);
    if (known !== undefined) return known;
    const { log, content } = this.#options;
    const inbox = new OriginInbox({
      origin,
      log,
      content: (record) => content(origin, record),
      missing: (entries) => this.#options.missing(origin, entries),
      applied: (batch) => this.#applied(batch),
      flushed: () => this.#flushed(origin),
      free: (memory) => this.#options.free(memory),
      failed: (error) => this.#inboxFailed(origin, error),
    });
    this.#inboxes.set(origin, inbox);
    return inbox;
  }

  #applied(batch: number): void {
    const session = this.#batches.applied(batch);
    if (session === undefined) return;
    this.#options.input({ kind: "applied", ...refOf(session), batch });
  }

  /** More is flushed: worth an ack, although no batch asked for it. */
  #flushed(origin: NodeId): void {
    const session = this.#sessions.get(origin);
    if (session !== undefined) this.acknowledge(refOf(session));
  }

  #inboxFailed(origin: NodeId, error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    this.#batches.failed(origin);
    this.#options.storeFailed(origin, why);
    const session = this.#sessions.get(origin);
    if (session !== undefined) {
      this.drop(refOf(session), `cannot store its records: ${why}`);
    }
  }

  #fault(session: Session, why: string): void {
    const { peer, link } = session.control;
    this.#options.logger.warn("a peer breaks the protocol", { peer, why });
    link.close(`protocol: ${why}`);
  }

  #find(ref: LinkRef): Session | undefined {
    const session = this.#sessions.get(ref.peer);
    return session?.control.session === ref.session ? session : undefined;
  }

  #say(session: Session, kind: FrameKind, parts: Uint8Array[]): void {
    session.control.link.send({ kind, epoch: session.toldEpoch, parts });
  }
}
