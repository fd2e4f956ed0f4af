/**
 * One simulated machine with its agent: the real replica core, a mirror of the
 * shell around it, and a disk.
 *
 * @module
 */

import type { NodeId } from "@kedge/schema";
import { ReplicaCore } from "../../node-agent/sync/replica_core.ts";
import type {
  ReplicaEffect,
  ReplicaInput,
} from "../../node-agent/sync/replica_messages.ts";
import { cutFromTimeToTime } from "./agent_cut.ts";
import { AgentFiles } from "./agent_files.ts";
import { AgentLinks } from "./agent_links.ts";
import type { Message } from "./messages.ts";
import { SimDisk } from "./sim_disk.ts";
import { AgentCommits, type CommitRequest } from "./agent_commits.ts";
import { type SimRecord, SimStore } from "./sim_store.ts";
import { Violation, type World } from "./world.ts";

export type { CommitRequest, CommitResult } from "./agent_commits.ts";

/** How often a tracker is asked, and the core told the time, in ms. */
const HEARTBEAT_MS = 700;
const TICK_MS = 100;

/** See the module comment. */
export class SimAgent {
  readonly node: NodeId;
  readonly world: World;
  readonly disk: SimDisk;
  store: SimStore;
  isUp = false;
  /** Raised with every start and stop: what belongs to another life is void. */
  life = 0;
  core: ReplicaCore;
  links: AgentLinks;
  files: AgentFiles;
  /** Records of the present incarnation, as given out. */
  log: SimRecord[] = [];
  /** Sent-time of the last tracker question answered with our epoch. */
  trackerMs: number | undefined;
  /** Up to when the machine lost power, wiped or broke last. */
  lostPowerMs = -Infinity;
  wipedMs = -Infinity;
  /** A tracker heard of a later state of the store than this one. */
  isOld = false;
  /** When it last took up a register under which it is whole. */
  wholeMs = 0;
  readonly #clock: { readonly offsetMs: number; readonly rate: number };
  readonly #commits = new AgentCommits(this);
  #op = 0;
  #pausedUntilMs = 0;
  #inbox: (() => void)[] = [];
  #mayHaveLost = false;

  constructor(node: NodeId, world: World, storeId: string) {
    this.node = node;
    this.world = world;
    this.store = new SimStore(storeId);
    this.disk = new SimDisk(this);
    const rng = world.rng.faults;
    this.#clock = { offsetMs: rng.range(0, 1e6), rate: rng.range(0.99, 1.01) };
    this.core = this.#newCore();
    this.links = new AgentLinks(this);
    this.files = new AgentFiles(this);
  }

  /** Monotonic time of this machine. */
  get nowMs(): number {
    return this.#clock.offsetMs + this.world.scheduler.nowMs * this.#clock.rate;
  }

  // ------------------------------------------------------------- lifecycle

  /** Start the process. */
  start(): void {
    if (this.isUp) return;
    const { store, world } = this;
    this.life++;
    this.isUp = true;
    this.#pausedUntilMs = 0;
    this.#inbox = [];
    store.ignoresTombstones = !world.rules.tombstonesWin;
    this.#openLog();
    // What a killed process left un-flushed is flushed before it counts.
    store.flush();
    this.disk.open();
    this.core = this.#newCore();
    this.links = new AgentLinks(this);
    this.files = new AgentFiles(this);
    this.trackerMs = undefined;
    this.#commits.clear();
    this.#every(TICK_MS, () => this.feed({ kind: "tick", nowMs: this.nowMs }));
    this.#every(HEARTBEAT_MS, () => this.readRegister());
    this.files.start();
    cutFromTimeToTime(this);
    this.note(`starts incarnation ${store.incarnation}`);
  }

  #openLog(): void {
    const { store, world } = this;
    if (store.incarnation === 0) {
      const first = world.rng.disk.between(1, 1_000_000);
      store.beginIncarnation(first);
      this.#mayHaveLost = false;
    } else {
      if (world.rules.newIncarnation) {
        const step = world.rng.disk.between(1, 100_000);
        store.beginIncarnation(store.incarnation + step);
        world.mark("incarnation bumped");
      }
      if (!store.clean && world.config.cautious) this.#mayHaveLost = true;
    }
    // A tracker hears that it checks itself.
    if (this.#mayHaveLost) this.isOld = false;
    store.clean = false;
    this.log = [...store.log.get(store.incarnation) ?? []];
  }

  /** Stop the process: at once, or after finishing cleanly. */
  stop(how: "kill" | "clean" | "power"): void {
    if (!this.isUp) return;
    // Suspicion outlives the process until joining has ended it.
    if (!this.disk.isBroken && this.world.rules.keepSuspicion) {
      this.#mayHaveLost = this.core.isSuspect;
    } else if (how === "clean") this.#mayHaveLost = false;
    this.note(`stops: ${how}`);
    this.life++;
    this.isUp = false;
    if (how === "clean") {
      // Everything given out is logged before a clean stop says so.
      const isWhole = this.disk.finish() &&
        this.log.length === this.store.log.get(this.store.incarnation)?.length;
      this.store.clean = isWhole;
      if (isWhole) this.store.flush();
    }
    this.disk.close();
    this.files.stop();
    this.world.net.dropAll(this.node, how !== "power");
  }

  /** The machine loses power: un-flushed transactions may be gone. */
  losePower(): void {
    this.stop("power");
    const lost = this.store.powerCut(this.world.rng.disk);
    this.#mayHaveLost = true;
    this.store.clean = false;
    this.lostPowerMs = this.world.scheduler.nowMs;
    if (lost > 0) this.world.mark("power cut lost transactions");
  }

  /** The disk is replaced by an empty one. */
  wipe(storeId: string): void {
    this.stop("power");
    const lies = this.store.lies;
    this.store = new SimStore(storeId);
    this.store.lies = lies;
    this.#mayHaveLost = false;
    this.lostPowerMs = this.world.scheduler.nowMs;
    this.wipedMs = this.lostPowerMs;
  }

  /** An older copy of the data comes back. */
  setBack(copy: SimStore): void {
    this.stop("clean");
    this.#mayHaveLost = false;
    this.store = copy;
    this.isOld = true;
    this.lostPowerMs = this.world.scheduler.nowMs;
    this.wipedMs = this.lostPowerMs;
  }

  /** A write failed: what is on the disk now is uncertain. */
  diskFailed(): void {
    this.#mayHaveLost = true;
    this.store.clean = false;
  }

  /** The process stands still. */
  pause(ms: number): void {
    const { scheduler } = this.world;
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, scheduler.nowMs + ms);
    const { life } = this;
    scheduler.after(ms, () => this.#resume(life));
  }

  /** Go on at once. */
  unpause(): void {
    this.#pausedUntilMs = 0;
    this.#resume(this.life);
  }

  /** Start again as after an unclean stop: the log lost numbers. */
  restartLog(): void {
    this.world.mark("log restarted");
    this.stop("kill");
    this.#mayHaveLost = true;
    this.world.scheduler.after(300, () => this.start());
  }

  /** Run something as this process, unless it is another life by then. */
  run(work: () => void, life = this.life): void {
    if (life !== this.life || !this.isUp) return;
    if (this.#pausedUntilMs > this.world.scheduler.nowMs) {
      this.#inbox.push(() => this.run(work, life));
      return;
    }
    work();
  }

  /** Run something later in this life. */
  after(ms: number, work: () => void): void {
    const { life } = this;
    this.world.scheduler.after(ms, () => this.run(work, life));
  }

  #every(ms: number, work: () => void): void {
    this.after(ms, () => {
      work();
      this.#every(ms, work);
    });
  }

  #resume(life: number): void {
    if (life !== this.life) return;
    if (this.#pausedUntilMs > this.world.scheduler.nowMs) return;
    const inbox = this.#inbox;
    this.#inbox = [];
    for (const work of inbox) work();
  }

  // ------------------------------------------------------------------ core

  /** Commit a change through the core. */
  commit(request: CommitRequest): void {
    const op = ++this.#op;
    this.#commits.begin(op, request);
    const { level, origin } = request;
    this.feed({
      kind: "submit",
      op,
      level,
      ...(origin === undefined ? {} : { origin }),
    });
  }

  /** Tell the core what happened, and do what it orders. */
  feed(input: ReplicaInput): void {
    for (const effect of this.core.handle(input)) this.#perform(effect);
    const { pending } = this.core;
    if (pending > 10_000) this.fail("I22", `${pending} changes wait`);
  }

  /** Ask a tracker for the register. */
  readRegister(): void {
    const { life } = this;
    const askedMs = this.nowMs;
    const askedUnder = this.core.register?.epoch ?? 0;
    this.world.kv.read(this.node, (register) =>
      this.run(() => {
        this.feed({ kind: "tracker", reachable: register !== undefined });
        if (register === undefined) return;
        this.feed({ kind: "register", register, askedUnder });
        this.#judged();
        const ours = this.core.register;
        if (ours?.epoch === register.epoch && ours.gen === register.gen) {
          this.trackerMs = askedMs;
        }
      }, life));
  }

  /** A tracker knows whether this is the state that ran last. */
  #judged(): void {
    if (!this.isOld || !this.world.rules.noticesSetBack) {
      const waited = this.core.mayBeOld;
      this.feed({ kind: "vouched" });
      if (waited && this.core.isWhole()) {
        this.wholeMs = this.world.scheduler.nowMs;
      }
      return;
    }
    this.world.mark("found to be set back");
    this.#mayHaveLost = true;
    this.after(0, () => this.restartLog());
  }

  /** A promise was broken here. */
  fail(invariant: string, what: string): never {
    const { nowMs } = this.world.scheduler;
    throw new Violation(invariant, `node ${this.node}: ${what}`, nowMs);
  }

  /** A line of the trace. */
  note(what: string): void {
    const { trace, scheduler } = this.world;
    trace?.(`${scheduler.nowMs.toFixed(1).padStart(9)} n${this.node} ${what}`);
  }

  // The links and the net.
  onConnected(peer: NodeId, session: number): void {
    this.run(() => this.links.connected(peer, session));
  }
  onBroken(peer: NodeId, session: number): void {
    this.run(() => this.links.broken(peer, session));
  }
  onMessage(peer: NodeId, session: number, message: Message): void {
    this.run(() => this.links.receive(peer, session, message));
  }

  #newCore(): ReplicaCore {
    const { config, rules } = this.world;
    return new ReplicaCore({
      node: this.node,
      store: this.store.id,
      incarnation: this.store.incarnation,
      register: this.store.register,
      head: this.log.length,
      mayHaveLost: this.#mayHaveLost,
      mayBeOld: !this.#mayHaveLost && this.world.rules.waitsForVoucher,
      settings: {
        ackTimeoutMs: config.ackTimeoutMs,
        unlinkedMs: Math.min(300, config.ackTimeoutMs),
        giveUpMs: config.giveUpMs,
        regrowDelayMs: config.regrowDelayMs,
        compareAgainMs: 15_000,
      },
      rules: rules.core,
    });
  }

  #perform(effect: ReplicaEffect): void {
    const { world } = this;
    switch (effect.kind) {
      case "append":
        return this.#commits.append(effect);
      case "answer":
        return this.#commits.answer(effect);
      case "refuse":
        return this.#commits.finish(effect.op, {
          kind: "refused",
          why: effect.why,
        });
      case "uncertain":
        world.mark(`uncertain: ${effect.why.split(":")[0]}`);
        return this.#commits.finish(effect.op, { kind: "uncertain" });
      case "change-register":
        return this.#changeRegister(effect);
      case "read-register":
        return this.readRegister();
      case "save-register":
        this.note(`epoch ${effect.register.epoch}: ${effect.register.insync}`);
        if (this.core.isWhole()) this.wholeMs = world.scheduler.nowMs;
        return this.store.saveRegister(effect.register);
      case "restart-log":
        return this.after(0, () => this.restartLog());
      case "alarm":
        this.note(`alarm: ${effect.why}`);
        return;
      case "compare":
        return this.files.compare(effect);
      default:
        return this.links.perform(effect);
    }
  }

  #changeRegister(
    effect: ReplicaEffect & { readonly kind: "change-register" },
  ): void {
    const { life, world } = this;
    const { request, gen, epoch, change } = effect;
    this.note(`asks ${JSON.stringify(change)} under ${epoch}`);
    world.kv.change(this.node, { gen, epoch, change }, (answer) => {
      world.mark(`${change.kind} ${answer.outcome}`);
      this.run(
        () => this.feed({ kind: "register-answer", request, ...answer }),
        life,
      );
    });
  }
}
