/**
 * This node towards the trackers: reports, the register, what operators want.
 *
 * @module
 */

import type {
  GroupRegister,
  Heartbeat,
  HeartbeatReply,
  NodeId,
  ReplicationReport,
  RootHash,
} from "@kedge/schema";
import { lostDatabaseText } from "./alarm_texts.ts";
import type { Alarms } from "./alarms.ts";
import type { PromptEffect } from "./core_loop.ts";
import { GroupView } from "./group_view.ts";
import { Heartbeats } from "./heartbeat.ts";
import type { ReplicaInput } from "./replica_messages.ts";
import type { ReplicatorOptions } from "./replicator_options.ts";
import { newestPositions } from "./root_hash.ts";

/** What {@linkcode Membership} has to know of the rest. */
export interface MembershipContext {
  readonly alarms: Alarms;
  /** The register that the core acts under. */
  register(): GroupRegister | undefined;
  /** Tell the core. */
  input(input: ReplicaInput): void;
  /** How replication goes. */
  replication(): ReplicationReport;
  /** All files as one number. */
  root(): RootHash | undefined;
  /** Other peers, or other addresses of peers. */
  peersChanged(): void;
}

/** See the module comment. */
export class Membership {
  /** What is believed about the group. */
  readonly view: GroupView;
  readonly #options: ReplicatorOptions;
  readonly #context: MembershipContext;
  readonly #heartbeats: Heartbeats;
  #wasHeard = false;

  /** Nothing is asked yet. */
  constructor(options: ReplicatorOptions, context: MembershipContext) {
    const { tracker, clock, logger, log, node, defaultSettings } = options;
    this.#options = options;
    this.#context = context;
    this.view = new GroupView(node, defaultSettings, log.register());
    this.#heartbeats = new Heartbeats({
      tracker,
      clock,
      log: logger,
      report: () => this.#report(),
      epoch: () => context.register()?.epoch ?? 0,
      replied: (reply, asked) => this.#replied(reply, asked),
      reachable: (reachable) => context.input({ kind: "tracker", reachable }),
    });
  }

  /** Why no tracker took the last report; "" when one did. */
  get trackerFailure(): string {
    return this.#heartbeats.failure;
  }

  /** Report from now on. */
  start(): void {
    const { firstReply, cachedReply, clock } = this.#options;
    if (cachedReply !== undefined) {
      this.view.replied(cachedReply);
      this.#context.peersChanged();
    }
    if (firstReply !== undefined) {
      this.#replied(firstReply, { epoch: 0, atMs: clock.monotonicMs() });
    }
    this.#heartbeats.start();
  }

  /** Report as soon as possible, and learn what there is to learn. */
  soon(): void {
    this.#heartbeats.soon();
  }

  /** A tracker knows whether this is the state that ran last. */
  #judged(isSetBack: boolean): void {
    const { run, mayHaveLost, logger } = this.#options;
    if (isSetBack && !mayHaveLost) return run?.setBack();
    this.#context.input({ kind: "vouched" });
    if (this.#wasHeard) return;
    this.#wasHeard = true;
    run?.heard().catch((error) => {
      this.#wasHeard = false;
      logger.warn("cannot note that a tracker heard of this start", {
        why: String(error),
      });
    });
  }

  /** Report no more. */
  stop(): void {
    this.#heartbeats.stop();
  }

  /** Ask for a change of the register, and tell the core what became of it. */
  async changeRegister(
    effect: Extract<PromptEffect, { kind: "change-register" }>,
  ): Promise<void> {
    const { request, gen, epoch, change } = effect;
    const { tracker, logger, clock } = this.#options;
    const atMs = clock.monotonicMs();
    const answer = await tracker.changeRegister(gen, epoch, change);
    logger.info("asked for a change of the register", {
      change: change.kind,
      epoch,
      outcome: answer.outcome,
    });
    this.#context.input({
      kind: "register-answer",
      request,
      outcome: answer.outcome,
      register: answer.outcome === "unknown" ? undefined : answer.register,
    });
    if (answer.outcome === "changed") {
      this.confirmed("tracker", answer.register.epoch, atMs);
    }
  }

  /** Save a register; it counts for peers once this resolves. */
  async save(register: GroupRegister): Promise<void> {
    await this.#options.log.saveRegister(register);
    this.view.save(register);
    this.#options.logger.info("the group register moved", {
      epoch: register.epoch,
      insync: register.insync,
    });
    this.#context.peersChanged();
  }

  /** Somebody acted under this epoch at some time after `sinceMs`. */
  confirmed(by: NodeId | "tracker", epoch: number, sinceMs: number): void {
    if (epoch !== this.#context.register()?.epoch) return;
    this.view.confirmed(by, sinceMs);
  }

  #report(): Heartbeat {
    const { log, node } = this.#options;
    const { incarnation } = log;
    const facts = this.#options.report();
    const register = this.#context.register();
    const lost = lostDatabaseText(register, node, log.store);
    const alarms = [
      ...(lost === undefined ? [] : [lost]),
      ...facts.alarms,
      ...this.#context.alarms.current(),
    ];
    const { run, mayHaveLost } = this.#options;
    const root = this.#context.root();
    const newest = newestPositions(log);
    return {
      ...facts,
      alarms: alarms.slice(0, 32),
      store: log.store,
      ...(run === undefined ? {} : {
        run: {
          id: run.id,
          former: [...run.former],
          isChecking: mayHaveLost,
        },
      }),
      ...(root === undefined ? {} : { root }),
      replication: this.#context.replication(),
      // Of the last run with records: others have no place in an empty one.
      head: newest.find(({ origin }) => origin === node) ??
        { origin: node, incarnation, sequence: 0 },
      positions: newest.filter(({ origin }) => origin !== node),
      epoch: register?.epoch ?? 0,
      gen: register?.gen ?? null,
    };
  }

  #replied(
    reply: HeartbeatReply,
    asked: { readonly epoch: number; readonly atMs: number },
  ): void {
    const { register } = reply;
    const { alarms, input, peersChanged } = this.#context;
    if (register.group !== this.#options.group) {
      return alarms.raise(`a tracker told group ${register.group}`);
    }
    this.view.replied(reply);
    this.#options.onReply?.(reply);
    input({ kind: "register", register, askedUnder: asked.epoch });
    this.#judged(reply.isSetBack === true);
    this.confirmed("tracker", register.epoch, asked.atMs);
    peersChanged();
  }
}
