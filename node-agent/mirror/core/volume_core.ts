/**
 * One mirrored volume on one node: every decision, no I/O of its own.
 *
 * The core is told what happens by calls (`read`, `write`, `frame`, `linkUp`,
 * `diskFlushed`, `tick`, commands) and acts through {@link VolumeEffects}. The
 * volume Worker and the simulator run the same code.
 *
 * ```text
 *              commands ─▶ roles ─┐
 * NBD ─▶ reads, writes ───────────┤ volume ─▶ effects (disk, link, handlers)
 * peer ─▶ link ─▶ replica ────────┤
 *            └──▶ resync, verify ─┘
 * ```
 *
 * @module
 */

import type { MirrorFrame } from "@kedge/schema/wire/mirror";
import { EMPTY_GENERATION } from "../decisions/generations_core.ts";
import {
  compareConnection,
  compareDisk,
  type ConnectionState,
  isConnected,
  isSuspended,
  type MirrorState,
  UNCONFIGURED_STATE,
} from "../decisions/mirror_state.ts";
import type { StateRefusal } from "../decisions/refusals_core.ts";
import type { StateChange } from "../decisions/state_core.ts";
import { ActivityLog } from "./activity_log_core.ts";
import { OutOfSyncBitmap } from "./bitmap_core.ts";
import { Congestion } from "./congestion_core.ts";
import { DiskKeeper } from "./disk_keeper_core.ts";
import { Flusher } from "./flusher_core.ts";
import { GenerationKeeper } from "./generation_keeper_core.ts";
import { HandlerCalls } from "./handler_calls_core.ts";
import { OptionChanges } from "./option_changes_core.ts";
import { PeerLink } from "./peer_link_core.ts";
import { PrimaryWrites } from "./primary_writes_core.ts";
import { Reads } from "./reads_core.ts";
import { RegisterFence } from "./register_fence_core.ts";
import { ReplicaWrites } from "./replica_writes_core.ts";
import { Resize } from "./resize_core.ts";
import { ResyncSource } from "./resync_source_core.ts";
import { ResyncTarget } from "./resync_target_core.ts";
import { Roles } from "./roles_core.ts";
import { flagsOf } from "./saved_flags_core.ts";
import { judgeChange, TARGET_CONNECTIONS } from "./state_judge_core.ts";
import { Verify } from "./verify_core.ts";
import type {
  PersistentFlags,
  PersistentState,
  VolumeConfig,
  VolumeEffects,
} from "./volume_types.ts";

/** See the module comment. */
export class VolumeCore {
  /** Where the volume stands. Changed by {@link change} only. */
  state: MirrorState = UNCONFIGURED_STATE;
  /** What is saved in the metadata; undefined without a disk. */
  persistent: PersistentState | undefined;
  /** Undefined without a disk. */
  bitmap: OutOfSyncBitmap | undefined;
  /** Size of the volume in bytes; 0 until it is known. */
  sizeBytes = 0;
  /** Milliseconds of a clock that never goes back; set by {@link tick}. */
  nowMs = 0;
  readonly log: ActivityLog;
  readonly flusher: Flusher;
  readonly handlers: HandlerCalls;
  readonly generations: GenerationKeeper = new GenerationKeeper(this);
  readonly disk: DiskKeeper = new DiskKeeper(this);
  readonly writes: PrimaryWrites = new PrimaryWrites(this);
  readonly reads: Reads = new Reads(this);
  readonly replica: ReplicaWrites = new ReplicaWrites(this);
  readonly link: PeerLink = new PeerLink(this);
  readonly source: ResyncSource = new ResyncSource(this);
  readonly target: ResyncTarget = new ResyncTarget(this);
  readonly verify: Verify = new Verify(this);
  readonly roles: Roles = new Roles(this);
  readonly fence: RegisterFence = new RegisterFence(this);
  readonly congestion: Congestion = new Congestion(this);
  readonly options: OptionChanges = new OptionChanges(this);
  readonly resize: Resize = new Resize(this);

  constructor(public config: VolumeConfig, readonly effects: VolumeEffects) {
    this.log = new ActivityLog(config.alExtents, config.extentBytes);
    this.flusher = new Flusher(() => effects.flushData());
    this.handlers = new HandlerCalls(effects);
  }

  /** Whether there is a disk to write to. */
  get hasLocalDisk(): boolean {
    return compareDisk(this.state.disk, "Inconsistent") >= 0;
  }

  // --- what happens -------------------------------------------------------

  /**
   * A frame of the peer.
   *
   * @param epoch Epoch of the register that its sender knows; 0: none.
   */
  frame(frame: MirrorFrame, epoch = 0): void {
    if (!this.fence.heard(frame, epoch)) {
      return this.link.giveUp("The peer is a Primary that was replaced");
    }
    this.link.frame(frame);
  }

  /** The flush that was asked for has ended. */
  diskFlushed(stable: boolean): void {
    if (!stable) return this.disk.failed("flush");
    this.flusher.diskFlushed(true);
    this.link.meetAgain();
  }

  /** The activity-log transaction that was asked for has ended. */
  logCommitted(stable: boolean): void {
    this.writes.logCommitted(stable);
  }

  /** A handler has ended. */
  helperDone(id: number, exitCode: number): void {
    this.handlers.ended(id, exitCode);
  }

  /** Time passes: about every 100 ms. */
  tick(nowMs: number): void {
    this.nowMs = nowMs;
    this.link.tick(nowMs);
    this.writes.tick(nowMs);
    this.replica.tick();
    this.target.tick(nowMs);
    this.congestion.tick(nowMs);
    this.options.tick(nowMs);
    this.fence.tick(nowMs);
    this.roles.promotion.tick(nowMs);
    this.roles.demotion.tick(nowMs);
    this.resize.tick();
    this.settle();
  }

  /** The end of a batch of calls: send what was gathered. */
  settle(): void {
    this.options.settle();
    this.writes.settle();
    this.replica.settle();
    this.target.settle();
    this.source.settle();
  }

  // --- questions ----------------------------------------------------------

  /** Whether a write goes to the peer as data. */
  replicates(): boolean {
    const { connection, peerDisk } = this.state;
    if (!isConnected(connection)) return false;
    if (connection === "Ahead") return false;
    if (connection === "StartingSyncS" || connection === "WFBitMapS") {
      return false;
    }
    if (peerDisk === "UpToDate") return true;
    return compareDisk(peerDisk, "Inconsistent") >= 0 &&
      compareConnection(connection, "WFBitMapT") >= 0;
  }

  /** Whether an UpToDate copy can be reached. */
  canReachData(): boolean {
    return this.state.disk === "UpToDate" ||
      isConnected(this.state.connection) && this.state.peerDisk === "UpToDate";
  }

  /**
   * Whether new writes may start. Not while the peer has a report of ours that
   * it decides on: the blocks of a write would be none of it.
   */
  mayWrite(): boolean {
    return !isSuspended(this.state) &&
      this.state.connection !== "WFReportParams" &&
      !this.link.negotiation.reports.isOpen && !this.source.isHolding &&
      this.fence.mayWrite();
  }

  /** Whether the application may be answered. */
  mayAnswer(): boolean {
    return !isSuspended(this.state) && this.fence.mayAnswer();
  }

  /** What the state makes of the metadata's flags (DRBD: recomputed at every change). */
  flags(set = this.generations.set): Partial<PersistentFlags> {
    const isAlone = set !== undefined && set.bitmap !== EMPTY_GENERATION;
    return flagsOf(this.state, {
      isCopied: this.source.mayBeOver,
      isGood: this.source.isPeerGood,
      lacksWrites: this.config.fencing !== "dont-care" && isAlone,
    });
  }

  // --- changes ------------------------------------------------------------

  /** What a change of state would come to. */
  judge(part: Partial<MirrorState>, hard = false): StateChange {
    return judgeChange(this, part, hard);
  }

  /**
   * Change the state as a fact: it cannot be refused by rules for wishes.
   *
   * @returns Whether it was a possible transition.
   */
  change(part: Partial<MirrorState>): boolean {
    return this.adopt(this.judge(part, true)) === undefined;
  }

  /** Change the state as a wish. Undefined: done. */
  wish(part: Partial<MirrorState>): StateRefusal | undefined {
    return this.adopt(this.judge(part));
  }

  /** Make a judged change true, with everything that follows from it. */
  adopt(judged: StateChange): StateRefusal | undefined {
    if (judged.refused !== undefined) return judged.refused;
    if (!judged.applied) return undefined;
    const before = this.state;
    this.state = judged.state;
    this.#follow(before, judged.state);
    return undefined;
  }

  #follow(before: MirrorState, after: MirrorState): void {
    // Before anything below answers what waits: that would be an error.
    if (before.suspendedNoData && !after.suspendedNoData) {
      this.writes.takeBack();
    }
    // If the flags cannot be saved, the state moves on in that call.
    this.effects.stateChanged(before, after);
    this.generations.saveFlags();
    if (this.#lostPeerData(before, after)) {
      this.writes.peerLost();
      // A disk that was negotiated may be good now, without what the peer had.
      if (this.canReachData()) this.writes.takeBack();
      this.fence.peerLost();
    }
    this.fence.copiesChanged(before, after);
    if (before.role !== after.role) this.writes.flushes.forgetAhead();
    this.disk.stateChanged(this.state);
    this.#endTransfers(this.state);
    this.link.stateChanged(before, after);
    this.congestion.stateChanged(before, after);
    this.options.stateChanged(after);
    this.roles.stateChanged(before, after);
    this.fence.peerEqual();
    this.writes.retry();
    this.reads.retry();
  }

  /** A resync or a verify ends with its state; what is on its way is void. */
  #endTransfers({ connection }: MirrorState): void {
    const isOne = (...names: ConnectionState[]) => names.includes(connection);
    if (!isOne("SyncSource", "PausedSyncS")) this.source.stop();
    if (!isOne("SyncTarget", "PausedSyncT")) this.target.stop();
    if (!isOne("VerifyS")) this.verify.stop();
  }

  /** The peer stopped taking our writes. */
  #lostPeerData(before: MirrorState, after: MirrorState): boolean {
    const had = isConnected(before.connection) &&
      compareDisk(before.peerDisk, "Inconsistent") >= 0;
    const has = isConnected(after.connection) &&
      compareDisk(after.peerDisk, "Inconsistent") >= 0;
    return had && !has;
  }

  // --- the disk, for the other parts --------------------------------------

  /**
   * Our disk is about to be a target and still says that it is consistent:
   * nothing newer of ours is put on top of what it lacks.
   */
  get #isGivenUp(): boolean {
    const { role, disk, connection } = this.state;
    return role === "Primary" && disk === "Outdated" &&
      TARGET_CONNECTIONS.has(connection);
  }

  /** Write a piece to our disk. False: it is not there (the disk may be gone now). */
  writeLocally(
    offset: number,
    lengthBytes: number,
    piece: {
      readonly data: Uint8Array | undefined;
      readonly mayPunch: boolean;
    },
  ): boolean {
    if (!this.hasLocalDisk || this.#isGivenUp) return false;
    this.target.overwrites(offset, lengthBytes);
    this.verify.overwrites(offset, lengthBytes);
    this.flusher.written();
    const ok = piece.data === undefined
      ? this.effects.zeroData(offset, lengthBytes, piece.mayPunch)
      : this.effects.writeData(offset, piece.data);
    if (!ok) this.disk.writeFailed(offset, lengthBytes);
    return ok;
  }

  /** A write that the peer does not see: remember its blocks. */
  markUnseen(offset: number, lengthBytes: number): void {
    const isNews = this.bitmap?.mark(offset, lengthBytes) ?? true;
    if (isConnected(this.state.connection) && this.congestion.tells(isNews)) {
      this.effects.send({ kind: "dirty", offset, lengthBytes });
    }
  }

  /** Save the bitmap pages that cover a range. False: failed, the disk is gone. */
  saveBitmapOf(offset: number, lengthBytes: number): boolean {
    return this.#save(this.bitmap?.unsavedPagesOf(offset, lengthBytes) ?? []);
  }

  /** Save every page that differs from the disk. False: failed, the disk is gone. */
  saveBitmap(): boolean {
    return this.#save(this.bitmap?.unsavedPages() ?? []);
  }

  /** Metadata or data can no longer be written: detach. */
  diskFailed(what: string): void {
    this.disk.failed(what);
  }

  #save(pages: readonly number[]): boolean {
    const { bitmap } = this;
    if (bitmap === undefined || pages.length === 0) return true;
    if (this.effects.saveBitmap(bitmap.bytes, pages)) {
      bitmap.saved(pages);
      return true;
    }
    this.disk.failed("bitmap");
    return false;
  }
}
