/**
 * This node's place in its group: the shell around the replica core.
 *
 * ```text
 *  http ── commit ──▶ Commits ──▶ core loop ──▶ change log
 *                        │            │  ▲
 *                        ▼            ▼  │
 *                  RecentRecords   Sessions ◀──▶ PeerLinks ◀──▶ peers
 *                                     │
 *                   OriginInbox ──▶ change log
 *  trackers ◀── Heartbeats, change-register
 * ```
 *
 * The core decides, in one place and in order; everything here only carries out
 * (`replica_messages.ts`). Nothing is acknowledged, to clients or peers, that the
 * core did not order.
 *
 * @module
 */

import type {
  GroupRegister,
  GroupSettings,
  HeartbeatReply,
  Level,
  NodeId,
  PeerAddress,
  PeerInfo,
  SigningKey,
} from "@kedge/schema";
import type { Change } from "@kedge/schema/change";
import { ownerOf } from "@kedge/schema/register";
import { Problem } from "@kedge/schema";
import type {
  Commitment,
  ContentSource,
  FetchOutcome,
  PeerListener,
  Relay,
  Replicator,
} from "../ports.ts";
import { Commits } from "./commits.ts";
import { CoreLoop, type PromptEffect } from "./core_loop.ts";
import { Heartbeats } from "./heartbeat.ts";
import { PeerLinks } from "./peer_links.ts";
import { RecentRecords } from "./recent_records.ts";
import { ReplicaCore } from "./replica_core.ts";
import type { ReplicatorOptions } from "./replicator_options.ts";
import { Sessions } from "./sessions.ts";

/** Pause between two ticks of the core, in milliseconds. */
const TICK_MS = 100;

/** See the module comment. */
export class GroupReplicator implements Replicator {
  readonly #options: ReplicatorOptions;
  readonly #core: ReplicaCore;
  readonly #loop: CoreLoop;
  readonly #recent: RecentRecords;
  readonly #commits: Commits;
  readonly #sessions: Sessions;
  readonly #links: PeerLinks;
  readonly #heartbeats: Heartbeats;
  /** The register that is saved: the only one that is told to peers. */
  #saved: GroupRegister | undefined;
  #reply: HeartbeatReply | undefined;
  #listener: PeerListener | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #stopped: string | undefined;

  /** A replicator that does nothing before {@linkcode start}. */
  constructor(options: ReplicatorOptions) {
    const { log, node, group } = options;
    this.#options = options;
    this.#saved = log.register();
    this.#recent = new RecentRecords(log.head());
    this.#core = new ReplicaCore({
      node,
      store: log.store,
      incarnation: log.incarnation,
      register: this.#saved,
      head: log.head(),
      mayHaveLost: options.mayHaveLost,
      ...(options.settings === undefined ? {} : { settings: options.settings }),
    });
    this.#loop = new CoreLoop({
      core: this.#core,
      perform: (effect) => this.#perform(effect),
      save: (register) => this.#save(register),
      saveFailed: (error) => this.#saveFailed(error),
    });
    this.#commits = new Commits({
      log,
      recent: this.#recent,
      input: (input) => this.#loop.input(input),
      appended: () => this.#sessions.poke(),
    });
    this.#sessions = new Sessions({
      group,
      log,
      recent: this.#recent,
      logger: options.logger,
      input: (input) => this.#loop.input(input),
      content: () => Promise.resolve({ kind: "none" }),
      pace: () => Promise.resolve(),
      storeFailed: (peer, why) => this.#alarm(`records of ${peer}: ${why}`),
    });
    this.#links = this.#makeLinks();
    this.#heartbeats = this.#makeHeartbeats();
  }

  // ------------------------------------------------------------- lifecycle

  /** Listen, report, link. */
  start(): void {
    const { transport, listen } = this.#options;
    this.#listener = transport.listen(
      listen,
      (channel) => this.#links.accept(channel),
    );
    if (this.#options.firstReply !== undefined) {
      this.#replied(this.#options.firstReply, 0);
    }
    this.#heartbeats.start();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Where peers connect: the real port when port 0 was asked for. */
  get address(): PeerAddress {
    return this.#listener?.address ?? this.#options.listen;
  }

  /** Answer what waits with `uncertain` and hang up. */
  stop(): void {
    this.#stopped = "this node stops";
    this.#listener?.close();
    this.#heartbeats.stop();
    clearInterval(this.#timer);
    this.#loop.stop();
    this.#commits.close(this.#stopped);
    this.#links.close(this.#stopped);
    this.#sessions.close();
  }

  // ------------------------------------------------------------------ port

  register(): GroupRegister {
    const register = this.#core.register;
    if (register !== undefined) return register;
    throw new Problem("not-in-sync", "No tracker has told the group yet");
  }

  settings(): GroupSettings {
    return this.#reply?.settings ?? this.#options.defaultSettings;
  }

  peers(): readonly PeerInfo[] {
    return this.#reply?.peers ?? [];
  }

  signingKeys(): readonly SigningKey[] {
    return this.#reply?.signingKeys ?? [];
  }

  commit(
    change: Change,
    content: ContentSource,
    level: Level,
    idempotencyKey?: string,
  ): Promise<Commitment> {
    const verdict = this.mayWrite();
    if (!verdict.ok && this.#reply?.mode === "read-only") {
      return Promise.reject(new Problem("read-only", verdict.why));
    }
    if (this.#stopped !== undefined) {
      return Promise.reject(new Problem("read-only", this.#stopped));
    }
    return this.#commits.commit(change, content, level, idempotencyKey);
  }

  fetch(_id: string): Promise<FetchOutcome> {
    return Promise.resolve({ kind: "unavailable", why: "not built yet" });
  }

  openRelay(): Relay | undefined {
    return undefined;
  }

  ownerOf(origin: NodeId): NodeId | undefined {
    const register = this.#core.register;
    return register === undefined ? undefined : ownerOf(register, origin);
  }

  mayRead(): ReturnType<Replicator["mayRead"]> {
    return { ok: true };
  }

  mayWrite(): ReturnType<Replicator["mayWrite"]> {
    const verdict = this.#core.mayWrite();
    if (!verdict.ok) return { ok: false, why: verdict.why };
    if (this.#reply?.mode === "read-only") {
      return { ok: false, why: "An operator made this node read-only" };
    }
    return { ok: true };
  }

  // ---------------------------------------------------------------- effects

  #perform(effect: PromptEffect): void {
    const { logger, onRestartLog } = this.#options;
    switch (effect.kind) {
      case "append":
        return this.#commits.append(effect);
      case "answer":
        return this.#commits.answer(effect);
      case "refuse":
        return this.#commits.refuse(effect);
      case "uncertain":
        return this.#commits.uncertain(effect);
      case "send":
        return this.#sessions.send(effect);
      case "tell-register":
        return this.#sessions.tellRegister(effect, effect.register);
      case "apply":
        return this.#sessions.apply(effect, effect.batch);
      case "reject":
        return this.#sessions.reject(effect, effect.batch, effect.epoch);
      case "acknowledge":
        return this.#sessions.acknowledge(effect);
      case "request-join":
        return this.#sessions.sayEpoch(effect, "join-request", effect.epoch);
      case "promise":
        return this.#sessions.sayEpoch(effect, "promise", effect.epoch);
      case "drop-link":
        return this.#sessions.drop(effect, effect.why);
      case "change-register":
        return void this.#changeRegister(effect);
      case "read-register":
        return this.#heartbeats.soon();
      case "compare":
        return this.#loop.input({
          kind: "compared",
          donor: effect.peer,
          epoch: effect.epoch,
          ok: true,
        });
      case "restart-log":
        logger.warn("the log must start a new incarnation", {
          why: effect.why,
        });
        return onRestartLog(effect.why);
      case "alarm":
        return this.#alarm(effect.why);
      default:
        return effect satisfies never;
    }
  }

  async #changeRegister(
    effect: Extract<PromptEffect, { kind: "change-register" }>,
  ): Promise<void> {
    const { request, gen, epoch, change } = effect;
    const { tracker, logger } = this.#options;
    const answer = await tracker.changeRegister(gen, epoch, change);
    logger.info("asked for a change of the register", {
      change: change.kind,
      epoch,
      outcome: answer.outcome,
    });
    this.#loop.input({
      kind: "register-answer",
      request,
      outcome: answer.outcome,
      register: answer.outcome === "unknown" ? undefined : answer.register,
    });
  }

  async #save(register: GroupRegister): Promise<void> {
    await this.#options.log.saveRegister(register);
    this.#saved = register;
    this.#options.logger.info("the group register moved", {
      epoch: register.epoch,
      insync: register.insync,
    });
    this.#setPeers();
  }

  #saveFailed(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    this.#alarm(`cannot save the register: ${why}`);
    this.#stopped = "the register cannot be saved";
    this.#commits.close(this.#stopped);
    this.#links.close(this.#stopped);
  }

  #alarm(why: string): void {
    this.#options.logger.warn("alarm", { why });
  }

  // ----------------------------------------------------------------- wiring

  #makeLinks(): PeerLinks {
    const { node, group, clusterSecret, log, transport, clock, logger } =
      this.#options;
    return new PeerLinks({
      identity: {
        node,
        group,
        store: log.store,
        boot: crypto.randomUUID(),
        secret: clusterSecret,
      },
      transport,
      clock,
      log: logger,
      events: {
        isMember: (peer) =>
          this.#saved?.members.some((member) => member.node === peer) ?? false,
        stateFor: (peer) => this.#stateFor(peer),
        epoch: () => this.#saved?.epoch ?? 0,
        linked: (control, theirs, ours) => {
          logger.info("linked", { peer: control.peer });
          this.#sessions.linked(control, theirs, ours);
        },
        frame: (control, frame) => this.#sessions.frame(control, frame),
        unlinked: (control, why) => {
          logger.warn("link lost", { peer: control.peer, why });
          this.#sessions.unlinked(control);
        },
        bulk: (_peer, link) => Promise.resolve(link.close("not built yet")),
        stranger: () => this.#heartbeats.soon(),
      },
    });
  }

  #makeHeartbeats(): Heartbeats {
    const { tracker, clock, logger } = this.#options;
    return new Heartbeats({
      tracker,
      clock,
      log: logger,
      report: () => this.#report(),
      epoch: () => this.#core.register?.epoch ?? 0,
      replied: (reply, askedUnder) => this.#replied(reply, askedUnder),
      reachable: (reachable) =>
        this.#loop.input({ kind: "tracker", reachable }),
    });
  }

  async #stateFor(peer: NodeId) {
    const { log } = this.#options;
    const register = this.#saved;
    if (register === undefined) throw new Error("no register is known yet");
    const positions = log.positions().filter(({ origin }) => origin === peer);
    // What is told must be flushed: the peer counts it as durable.
    await log.flush();
    return {
      register,
      positions: [...positions],
      incarnation: log.incarnation,
    };
  }

  #report() {
    const { log, node } = this.#options;
    return {
      ...this.#options.report(),
      store: log.store,
      head: {
        origin: node,
        incarnation: log.incarnation,
        sequence: log.head(),
      },
      positions: log.positions().slice(0, 256),
      epoch: this.#core.register?.epoch ?? 0,
      gen: this.#core.register?.gen ?? null,
    };
  }

  #replied(reply: HeartbeatReply, askedUnder: number): void {
    this.#reply = reply;
    const { register } = reply;
    this.#loop.input({ kind: "register", register, askedUnder });
    this.#setPeers();
  }

  #setPeers(): void {
    const { node } = this.#options;
    const members = new Set(this.#saved?.members.map((member) => member.node));
    this.#links.setPeers(
      this.peers().filter((peer) =>
        members.has(peer.node) && peer.node !== node
      ),
    );
  }

  #tick(): void {
    const nowMs = this.#options.clock.monotonicMs();
    this.#links.tick(nowMs);
    this.#loop.input({ kind: "tick", nowMs });
  }
}
