/**
 * The volume register in the KV as the authority for who may be Primary.
 *
 * - *Shrink before ack*: a Primary that lost its peer answers nothing until the
 *   register says that the peer is out of the in-sync set (R2).
 * - *Leave before ack*: one that lost its own disk answers nothing until the
 *   register says that only the peer's copy is good (B12).
 * - *Ack before grow*: an equal peer that already takes every write is put in
 *   again (R3).
 * - *Promote*: only a member of the in-sync set wins the role (R4).
 * - Reads need a lease of the peer, or to be the only member (R6).
 *
 * Without a register (the classic two-node setting) everything is allowed.
 *
 * Source: promises.md §6.
 *
 * @module
 */

import type { MirrorFrame } from "@kedge/schema/wire/mirror";
import {
  compareDisk,
  isConnected,
  type MirrorState,
} from "../decisions/mirror_state.ts";
import { isCopiedOver, isPeerCopiedOver } from "./copied_over_core.ts";
import { ReadLease } from "./read_lease_core.ts";
import { type Answered, RegisterQuestions } from "./register_questions_core.ts";
import type { VolumeCore } from "./volume_core.ts";
import type { RegisterAnswer } from "./volume_types.ts";

/** How long a node may say nothing of itself while nobody answers, in ms. */
const UNHEARD_MS_MAX = 3_000;
/** Wait before asking the register again. */
const RETRY_MS = 250;
/** How often a Primary makes sure that the register knows both nodes. */
const LOOK_MS = 10_000;

/** See the module comment. */
export class RegisterFence {
  /** The peer is in the in-sync set, as far as we know. */
  #peerIsIn = true;
  #shrinking = false;
  /** Our own disk is in the in-sync set, as far as we know. */
  #weAreIn = true;
  #leaving = false;
  /** The peer went and the register has not said anything about it yet. */
  #isUnheard = false;
  #unheardSinceMs = 0;
  /** Counts losses of the peer: an answer about an earlier one is void. */
  #loss = 0;
  #isGrowing = false;
  #isPromoting = false;
  /** The role may be ours in the register, and is not wanted. */
  #mustGiveBack = false;
  #lookedMs = 0;
  #mustGrow = false;
  readonly #lease = new ReadLease();
  #retryAtMs = Infinity;

  readonly #questions: RegisterQuestions;

  constructor(readonly volume: VolumeCore) {
    this.#questions = new RegisterQuestions(volume);
  }

  /**
   * Whether this node does not know yet if it is still Primary: it tells the
   * peer nothing of itself until it does.
   */
  get isUnheard(): boolean {
    return this.#isUnheard;
  }

  /** Whether new writes may start. */
  mayWrite(): boolean {
    const { state } = this.volume;
    return (!this.#shrinking || isPeerCopiedOver(state)) &&
      (!this.#leaving || isCopiedOver(state));
  }

  /** Whether answers may go out. */
  mayAnswer(): boolean {
    return this.mayWrite();
  }

  /** Only what is on both disks is answered: both are members (I3). */
  get mustBeOnBoth(): boolean {
    return this.#shrinking || this.#leaving;
  }

  /** Whether reads may be answered. */
  mayRead(): boolean {
    if (!this.volume.config.fencedByRegister || !this.#peerIsIn) return true;
    return this.#lease.isHeld(this.volume.nowMs);
  }

  /**
   * The peer answered a heartbeat: it promises not to promote for a while. One
   * that may be Primary already promises nothing.
   *
   * @param sentMs When the heartbeat that it answers was **sent**.
   */
  leased(sentMs: number): void {
    const { volume } = this;
    if (this.#lease.granted(sentMs, volume.state)) volume.reads.retry();
  }

  /** We answered a heartbeat of the Primary, now. */
  promised(): void {
    this.#lease.promise(this.volume.nowMs);
  }

  /** Writes no longer reach the peer. */
  peerLost(): void {
    const { volume } = this;
    if (!volume.config.fencedByRegister) return;
    if (volume.state.role !== "Primary" || !this.#peerIsIn) return;
    if (this.#leaving || !this.#weAreIn) {
      return this.#stepDown("the only good copy cannot be reached");
    }
    this.#shrinking = true;
    this.#isUnheard = true;
    this.#unheardSinceMs = volume.nowMs;
    this.#loss++;
    this.#shrink();
  }

  /** One of both copies is no longer a good one, on a connection that stands. */
  copiesChanged(before: MirrorState, after: MirrorState): void {
    if (after.role !== "Primary" || !isConnected(after.connection)) return;
    const isPeers = isConnected(before.connection) &&
      before.peerDisk === "UpToDate" && after.peerDisk !== "UpToDate";
    if (isPeers) this.peerLost();
    const isOurs = before.disk === "UpToDate" && after.disk !== "UpToDate";
    if (isOurs) this.diskLost();
  }

  /** Our own disk is about to be gone. */
  diskLost(): void {
    const { volume } = this;
    if (!volume.config.fencedByRegister || this.#leaving) return;
    if (volume.state.role !== "Primary" || !this.#weAreIn) return;
    if (this.#shrinking || !this.#peerIsIn) {
      // It stays what it was: nobody has anything newer.
      return this.#stepDown("the only disk that is in sync is gone", true);
    }
    this.#leaving = true;
    this.#loss++;
    this.#leave();
  }

  /** The peer is connected, UpToDate and takes every write. */
  peerEqual(): void {
    const { volume } = this;
    if (!volume.config.fencedByRegister) return;
    const isWhole = this.#peerIsIn && this.#weAreIn && !this.mustBeOnBoth;
    if (this.#isGrowing || isWhole && !this.#mustGrow) return;
    if (isWhole && volume.nowMs < this.#retryAtMs) return;
    const { state } = volume;
    const isEqual = state.role === "Primary" &&
      state.connection === "Connected" && state.disk === "UpToDate" &&
      state.peerDisk === "UpToDate";
    if (!isEqual) return;
    // From now on the peer *may* be in the set: reads need its lease, and
    // losing it needs a shrink, whatever becomes of the question.
    this.#peerIsIn = true;
    this.#weAreIn = true;
    // Whether one was taken out meanwhile or not: both have every write again.
    const wasFrozen = this.mustBeOnBoth;
    this.#shrinking = this.#leaving = false;
    this.#loss++;
    this.#grow();
    if (wasFrozen) volume.writes.retry();
  }

  #grow(): void {
    const loss = this.#loss;
    this.#isGrowing = true;
    this.#mustGrow = false;
    this.#questions.ask({ kind: "grow" }, (answer) => {
      this.#isGrowing = false;
      // The peer was lost meanwhile, and taken out after this perhaps.
      if (answer.outcome === "unknown" || loss !== this.#loss) {
        this.#mustGrow = true;
        this.#retryAtMs = this.volume.nowMs + RETRY_MS;
      }
      if (answer.outcome === "refused") this.#stepDown(answer.why);
    });
  }

  /** Win the role. */
  promote(force: boolean, done: Answered): void {
    const { volume } = this;
    const epoch = volume.persistent?.epoch ?? 0;
    if (!volume.config.fencedByRegister) {
      return done({ outcome: "done", epoch });
    }
    const refused = (why: string) => done({ outcome: "refused", epoch, why });
    const leftMs = this.#lease.promisedMs(volume.nowMs);
    if (!force && leftMs > 0 && !isConnected(volume.state.connection)) {
      return refused(
        `The peer may still read for ${leftMs} ms: try again then`,
      );
    }
    if (!force && volume.state.disk !== "UpToDate") {
      return refused("There is no good disk here that could be in sync");
    }
    if (this.#isPromoting) return refused("Another promotion is under way");
    this.#isPromoting = true;
    this.#questions.ask({ kind: "promote", force }, (answer) => {
      this.#isPromoting = false;
      if (answer.outcome === "done") {
        this.#begin();
        this.#questions.keepEpoch(answer.epoch);
      }
      done(answer);
      this.peerEqual();
    });
  }

  /** The role was given up. */
  demoted(): void {
    if (!this.volume.config.fencedByRegister) return;
    this.#end();
    this.#questions.ask({ kind: "demote" }, () => {});
  }

  /**
   * The register gave us the role when it was no longer wanted. It is given
   * back before it is asked for again; what we have is made stable first, since
   * the register takes it for that. Where that fails the role stays unused.
   */
  giveBack(): void {
    const { volume } = this;
    if (!volume.config.fencedByRegister || !volume.hasLocalDisk) return;
    this.#end();
    this.#isPromoting = true;
    volume.flusher.request((stable) => {
      this.#mustGiveBack = stable;
      this.#isPromoting = stable;
      if (stable) this.#askBack();
    });
  }

  #askBack(): void {
    this.#questions.ask({ kind: "demote" }, (answer) => {
      if (answer.outcome === "unknown") {
        this.#retryAtMs = this.volume.nowMs + RETRY_MS;
        return;
      }
      this.#isPromoting = this.#mustGiveBack = false;
    });
  }

  /** The register was asked; this is what came of it. */
  registerChanged(id: number, answer: RegisterAnswer): void {
    this.#questions.answered(id, answer);
    this.volume.link.drained();
  }

  /** Ask again what nobody could answer. */
  tick(nowMs: number): void {
    this.#lease.tick(nowMs);
    if (this.#isUnheard && nowMs - this.#unheardSinceMs > UNHEARD_MS_MAX) {
      this.#isUnheard = false;
      this.volume.link.drained();
    }
    this.#lookNowAndThen(nowMs);
    if (nowMs < this.#retryAtMs) return;
    this.#retryAtMs = Infinity;
    if (this.#mustGiveBack) return this.#askBack();
    if (this.#shrinking) return this.#shrink();
    if (this.#leaving) return this.#leave();
    if (!this.#mustGrow) return;
    this.#retryAtMs = 0;
    this.peerEqual();
  }

  /**
   * A promotion of the peer that was thought lost may have been carried out
   * since: whoever is not in the register finds out by growing once more.
   */
  #lookNowAndThen(nowMs: number): void {
    if (nowMs - this.#lookedMs < LOOK_MS) return;
    this.#lookedMs = nowMs;
    this.#lookAgain();
  }

  #lookAgain(): void {
    const { config, state } = this.volume;
    if (!config.fencedByRegister || state.role !== "Primary") return;
    if (!this.#peerIsIn || this.#isGrowing || !this.mayAnswer()) return;
    this.#mustGrow = true;
    this.#retryAtMs = Math.min(this.#retryAtMs, this.volume.nowMs);
  }

  /**
   * A frame of the peer carries this epoch (R1). A higher one is stored before
   * anything is done with the frame; a Primary that hears of one from another
   * Primary was replaced.
   *
   * @returns False: the frame is of a Primary that was replaced; refuse it.
   */
  heard(frame: MirrorFrame, epoch: number): boolean {
    const { volume } = this;
    if (!volume.config.fencedByRegister || epoch === 0) return true;
    const known = volume.persistent?.epoch ?? 0;
    if (epoch < known) {
      return frame.kind !== "data" && frame.kind !== "zero" &&
        frame.kind !== "flush";
    }
    const isReplaced = epoch > known && volume.state.role === "Primary" &&
      frame.kind === "report" && frame.report.state.role === "Primary";
    // Whoever knows more than a Primary may be one, or have been one.
    if (epoch > known) this.#lookAgain();
    this.#questions.keepEpoch(epoch);
    if (isReplaced) this.#stepDown("the peer was promoted later");
    return true;
  }

  #shrink(): void {
    this.#askForLess("shrink", () => {
      this.#shrinking = this.#peerIsIn = false;
    });
  }

  #leave(): void {
    this.#askForLess("leave", () => {
      this.#leaving = this.#weAreIn = false;
    });
  }

  #askForLess(kind: "shrink" | "leave", isOut: () => void): void {
    const loss = this.#loss;
    this.#questions.ask({ kind }, (answer) => {
      if (loss !== this.#loss) return this.#overtaken(answer);
      if (kind === "shrink") this.#isUnheard = false;
      switch (answer.outcome) {
        case "done":
          isOut();
          this.volume.writes.retry();
          this.volume.reads.retry();
          return this.peerEqual(); // both may be good again
        case "refused":
          return this.#stepDown(answer.why);
        case "unknown":
          this.#retryAtMs = this.volume.nowMs + RETRY_MS;
      }
    });
  }

  /** Both are equal since this was asked, and one may be out after all. */
  #overtaken({ outcome }: RegisterAnswer): void {
    if (outcome !== "refused") this.#mustGrow = true;
    this.#retryAtMs = Math.min(this.#retryAtMs, this.volume.nowMs);
  }

  /** The role was won: we are the only member. */
  #begin(): void {
    this.#end();
    this.#peerIsIn = false;
  }

  /** The role is over; so are its questions. */
  #end(): void {
    this.#questions.endReign();
    this.#shrinking = this.#leaving = this.#isUnheard = false;
    this.#isGrowing = this.#mustGrow = false;
    this.#peerIsIn = this.#weAreIn = true;
    this.#retryAtMs = Infinity;
  }

  /** Somebody else has the role: nothing of ours may be answered any more. */
  #stepDown(
    why = "the register has another one",
    isDiskNewest = false,
  ): void {
    const { volume } = this;
    volume.effects.log("error", `No longer Primary: ${why}`);
    // Never up: the state table makes UpToDate of Outdated on a connection.
    const isBetter = !isDiskNewest &&
      compareDisk(volume.state.disk, "Outdated") > 0;
    // First: the change of state below answers whatever is still due.
    volume.writes.failAll();
    volume.generations.nobodyBelieves();
    // Who runs ahead would copy its data over those of the other Primary.
    if (volume.state.connection === "Ahead") volume.link.giveUp(why);
    this.#end();
    volume.change({
      role: "Secondary",
      ...(isBetter ? { disk: "Outdated" } : {}),
    });
    volume.reads.retry();
  }
}
