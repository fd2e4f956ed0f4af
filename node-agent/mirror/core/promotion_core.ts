/**
 * Becoming Primary: the rules, the peer's word, the fence handler, the register.
 *
 * Source: DRBD 8.4, reference §2.7 and §2.9; promises.md R4, R9.
 *
 * @module
 */

import { EMPTY_GENERATION } from "../decisions/generations_core.ts";
import {
  compareDisk,
  isConnected,
  type MirrorState,
} from "../decisions/mirror_state.ts";
import type { VolumeCore } from "./volume_core.ts";
import type { CommandDone, PersistentFlags } from "./volume_types.ts";

/** How long a peer that is Primary is waited for (DRBD: one ping-timeout). */
const DEMOTION_MS_MAX = 600;

/** The peer may still serve. */
const NOT_FENCED = -7;
/** The peer went before it agreed. */
const NOT_ANSWERED = -21;

/** See the module comment. */
export class Promotion {
  /** Promotions that the peer agreed to, or that nobody has to agree to. */
  #underWay = 0;
  #awaitsPeer: { readonly untilMs: number; readonly run: () => void }[] = [];

  /** The peer was Primary when its connection ended, and may not know of that. */
  #mayServe = false;

  /**
   * With fencing, a Primary here ended after it had lost its peer and before it
   * could save that the peer is fenced: whether the peer has gone on without
   * this disk is written nowhere.
   */
  #endedUnfenced = false;

  /**
   * We became Primary without the peer or its disk, and were not in sync since:
   * what was answered before may be lost there, or what failed before be there
   * alone, and has the same name.
   */
  isPeerUnsure = false;

  constructor(readonly volume: VolumeCore) {}

  /**
   * The peer agreed, and the register is asked, or our disk is not ready yet. It
   * may hear meanwhile that we are Secondary, which is true, and ask for the
   * role itself.
   */
  get isTaking(): boolean {
    return this.#underWay > 0;
  }

  /** Remember what the peer was when we last saw it. */
  stateChanged(before: MirrorState, after: MirrorState): void {
    if (after.disk === "UpToDate") this.#endedUnfenced = false;
    const isInSync = after.connection === "Connected" &&
      after.disk === "UpToDate" && after.peerDisk === "UpToDate";
    if (isInSync || after.role !== "Primary") this.isPeerUnsure = false;
    if (isConnected(after.connection)) this.#mayServe = false;
    else if (isConnected(before.connection)) {
      this.#mayServe = before.peerRole === "Primary";
    }
  }

  /**
   * A disk was attached whose node ended while the peer was its target: as a
   * Primary that one answers reads until it knows that the connection is gone.
   * Or while it was Primary, and nobody knows what became of the peer.
   */
  attached({ connected, peerOutdated, primary }: PersistentFlags): void {
    const { config, generations, state } = this.volume;
    const isLinked = isConnected(state.connection);
    if (connected && peerOutdated && !isLinked) this.#mayServe = true;
    // Own data that are newer than the peer's have a name for that.
    this.#endedUnfenced ||= config.fencing !== "dont-care" && primary &&
      state.role !== "Primary" && !connected && !peerOutdated &&
      generations.set?.bitmap === EMPTY_GENERATION;
  }

  /**
   * Whether a peer without its disk may have one with newer data than ours,
   * which are whole. One that is switched off would not make them good either;
   * a Primary knows what it has shown.
   */
  mayLackPeers(peerRole: MirrorState["peerRole"]): boolean {
    if (!this.#endedUnfenced || peerRole === "Primary") return false;
    const why = "The peer's missing disk may have newer data: attach it, or " +
      '"drbdadm disconnect" and "drbdadm primary --force" here';
    this.volume.effects.log("warn", why);
    return true;
  }

  /** The peer serves nobody: its fence handler says so, or a person. */
  fenced(): void {
    this.#mayServe = false;
  }

  /**
   * DRBD asks the fence handler only where the peer's data may be good. A
   * Primary whose own are not was served by us, and answers reads of what was
   * copied already until it knows that the connection is gone.
   */
  #mustFence(): boolean {
    const { fencing, handlers } = this.volume.config;
    return this.#mayServe && fencing !== "dont-care" &&
      handlers.has("fence-peer");
  }

  /** Become Primary, in at most so many tries. */
  promote(force: boolean, tries: number, done: CommandDone): void {
    const { volume } = this;
    if (volume.state.role === "Primary") return done({ code: 1 });
    const wanted = this.#wantedForPromotion(force);
    const refused = volume.judge(wanted).refused ??
      (this.#mustFence() ? NOT_FENCED : undefined);
    const fence = (refused === NOT_FENCED ||
      refused === -2 && volume.state.disk === "Consistent") &&
      volume.config.handlers.has("fence-peer") && tries > 0;
    if (fence) {
      return volume.roles.fencing.ask(() =>
        this.promote(force, tries - 1, done)
      );
    }
    if (refused === NOT_FENCED && force) {
      this.fenced();
      volume.effects.log("warn", "Forced into split brain situation!");
      volume.change({ peerDisk: "Outdated" });
      return this.promote(force, tries - 1, done);
    }
    const isLeaving = refused === -1 && tries > 0 &&
      isConnected(volume.state.connection);
    if (isLeaving) return this.#waitForPeer(force, done);
    if (refused !== undefined) return done({ code: refused });
    if (!isConnected(volume.state.connection)) {
      return this.#win(force, wanted, done);
    }
    volume.link.agreement.ask({ role: "Primary" }, (code) => {
      if (code === -19 && tries > 0) {
        return this.promote(force, tries - 1, done);
      }
      // It has not agreed: without it other rules hold.
      if (code === NOT_ANSWERED && tries > 0) {
        return this.promote(force, tries - 1, done);
      }
      if (code !== 1) return done({ code });
      this.#win(force, wanted, done);
    });
  }

  /** The peer may have demoted, and its word be on its way: try once more. */
  #waitForPeer(force: boolean, done: CommandDone): void {
    const untilMs = this.volume.nowMs + DEMOTION_MS_MAX;
    this.#awaitsPeer.push({
      untilMs,
      run: () => this.promote(force, 0, done),
    });
  }

  /** What waits for the peer and is due goes on. */
  peerMoved(isLate: (untilMs: number) => boolean): void {
    const due = this.#awaitsPeer.filter(({ untilMs }) => isLate(untilMs));
    if (due.length === 0) return;
    this.#awaitsPeer = this.#awaitsPeer.filter((each) => !due.includes(each));
    for (const { run } of due) run();
  }

  /** Time passes. */
  tick(nowMs: number): void {
    this.peerMoved((untilMs) => nowMs >= untilMs);
  }

  /** The register decides where there is one; then it is done. */
  #win(force: boolean, wanted: Partial<MirrorState>, done: CommandDone): void {
    const { volume } = this;
    // Another command was first: a register that gives the role once more takes
    // the peer out of it.
    if (volume.state.role === "Primary") return done({ code: 1 });
    this.#underWay++;
    volume.fence.promote(force, (answer) => {
      if (answer.outcome !== "done") {
        this.#underWay--;
        this.#tellIfNot();
        return done({
          code: -10,
          why: answer.why ?? "The volume register could not be changed",
        });
      }
      const isGood = (wanted.disk ?? volume.state.disk) === "UpToDate";
      if (volume.config.fencedByRegister && !isGood) {
        // The disk failed while the register was asked.
        this.#underWay--;
        return done({ code: -2 });
      }
      this.#take(wanted, (result) => {
        this.#underWay--;
        // The answer came late: the peer is Primary, and does not know of it.
        if (volume.state.role !== "Primary") volume.fence.giveBack();
        this.#tellIfNot();
        done(result);
      });
    });
  }

  /** The peer agreed, and believes that we are Primary. */
  #tellIfNot(): void {
    const { link, state } = this.volume;
    const isNot = state.role !== "Primary" && isConnected(state.connection);
    if (isNot) link.tellState();
  }

  #take(wanted: Partial<MirrorState>, done: CommandDone): void {
    const { volume } = this;
    if (!volume.replica.isDrained) {
      // Writes of the Primary came after we asked: they go to the disk first.
      return volume.roles.whenQuiet(() => this.#take(wanted, done));
    }
    if (volume.state.role === "Primary") return done({ code: 1 });
    if (this.#mustFlush()) {
      return volume.flusher.request((stable) =>
        stable ? this.#take(wanted, done) : done({ code: -2 })
      );
    }
    // A disk that the peer or we are about to let go is no data to work on.
    const foreseen = volume.judge(volume.disk.detachment.foreseen(wanted));
    // First: our disk may fail in that call.
    this.isPeerUnsure = !isConnected(volume.state.connection) ||
      volume.state.peerDisk !== "UpToDate";
    const code = foreseen.refused ?? volume.wish(wanted) ?? 1;
    if (code !== 1) return done({ code });
    // It was said of what was here before: what a Primary writes is none of it.
    volume.link.discardMyData = false;
    if (!this.#begin(wanted.disk === "UpToDate")) return done({ code: 118 });
    done({ code: 1 });
  }

  /**
   * The former Primary answered flushes that we have not done: all of them with
   * A and B, with C those after it lost us. Nothing of ours may become stable
   * before what they cover (promises.md B4).
   */
  #mustFlush(): boolean {
    const { flusher, hasLocalDisk } = this.volume;
    return hasLocalDisk && !flusher.isStable;
  }

  /** The agreed size, and a name for data declared good. */
  #begin(isForced: boolean): boolean {
    const { volume } = this;
    if (volume.persistent === undefined) return true;
    if (!volume.disk.size.resizeTo(volume.sizeBytes)) return false;
    if (!isForced) return true;
    volume.effects.log("warn", "Forced to consider local data as UpToDate!");
    if (!volume.generations.begin()) return false;
    volume.link.negotiateAgain();
    return true;
  }

  #wantedForPromotion(force: boolean): Partial<MirrorState> {
    const { state } = this.volume;
    const mayForce = force && compareDisk(state.disk, "Inconsistent") >= 0 &&
      compareDisk(state.disk, "UpToDate") < 0 &&
      this.volume.judge({ role: "Primary" }).refused === -2;
    return mayForce
      ? { role: "Primary", disk: "UpToDate" }
      : { role: "Primary" };
  }
}
