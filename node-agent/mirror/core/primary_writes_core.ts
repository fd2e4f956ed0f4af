/**
 * The write path of a Primary: log the extent, send, write, answer as the
 * protocol promises.
 *
 * ```text
 * submit ─▶ gate (suspended? handshake? register? extent in the log?) ─▶ held
 *   │ open
 *   ├─▶ new generation, if the peer will miss this write (first one only)
 *   ├─▶ data frame to the peer, or the block is marked out of sync
 *   ├─▶ local write
 *   └─▶ answered: A at once · B received · C written · local disk gone: written
 * ```
 *
 * A write leaves the transfer log when it is stable on both disks. When the
 * peer goes, everything in the log is marked out of sync before anybody is
 * answered, and a new generation begins if the peer may miss a write that the
 * application will believe in (promises.md: bump at first write).
 *
 * Source: DRBD 8.4, reference §4.2 and §4.5; promises.md B1–B7, B11, B12.
 *
 * @module
 */

import type { ActivityLog } from "./activity_log_core.ts";
import { BusyBlocks } from "./busy_blocks_core.ts";
import { HeldWrites } from "./held_writes_core.ts";
import { PrimaryFlushes } from "./primary_flushes_core.ts";
import { type Progress, SentFrames } from "./sent_frames_core.ts";
import { type LoggedWrite, TransferLog } from "./transfer_log_core.ts";
import {
  type Piece,
  piecesOfZeroes,
  type WriteDone,
} from "./write_pieces_core.ts";
import type { VolumeCore } from "./volume_core.ts";

/** See the module comment. */
export class PrimaryWrites {
  readonly transfers = new TransferLog();
  /** Blocks with writes that are not answered yet. */
  readonly busy = new BusyBlocks();
  /** Frames to the peer. */
  readonly sent = new SentFrames();
  /** Flushes of both disks. */
  readonly flushes: PrimaryFlushes = new PrimaryFlushes(this);
  readonly #held = new HeldWrites();
  /** The number of the last write of this node. */
  lastOrdinal = 0;

  constructor(readonly volume: VolumeCore) {}

  /** Whether no more requests should be taken for now. */
  get isFull(): boolean {
    return this.#held.isFull;
  }

  /** Writes that the application waits for (`ap` of /proc/drbd), held ones included. */
  get pending(): number {
    return this.transfers.unansweredWrites + this.#held.count;
  }

  /** Frames that the peer has not confirmed as the protocol wants (`pe`). */
  get unconfirmed(): number {
    return this.sent.unconfirmed;
  }

  /** Whether the peer has everything that was sent to it on its disk. */
  get isStableThere(): boolean {
    return this.sent.isStableThere;
  }

  /** Whether the oldest write is stable here, and not there. */
  get waitsForPeer(): boolean {
    const [oldest] = this.transfers.unstable();
    return oldest !== undefined && oldest.sequence > this.sent.peer.stable &&
      oldest.ordinal <= this.flushes.localStable;
  }

  /** Nothing follows for a while: what was sent is to become stable there. */
  endStream(): void {
    if (this.isStableThere) return;
    const sequence = this.sent.nextFlush();
    this.volume.effects.send({ kind: "flush", sequence, barrier: false });
  }

  /** Whether the peer has writes that a loss of its power would take. */
  get hasUnstableThere(): boolean {
    return this.transfers.unstable().some(({ sequence }) =>
      sequence > this.sent.peer.stable
    );
  }

  /** Whether a loss of its power would, or may have, taken some of them. */
  get mayBeLostThere(): boolean {
    return this.flushes.mayBeLostThere || this.hasUnstableThere;
  }

  /** Whether nothing is under way: a demotion may go on. */
  get isIdle(): boolean {
    return this.pending === 0 && this.flushes.isIdle;
  }

  /** Write `data`, which is only valid during the call. */
  write(offset: number, data: Uint8Array, done: WriteDone): void {
    const lengthBytes = data.length;
    this.#offer({ offset, lengthBytes, data, mayPunch: false, done }, false);
  }

  /** Zero a range of any length. */
  zero(
    offset: number,
    lengthBytes: number,
    mayPunch: boolean,
    done: WriteDone,
  ): void {
    const { extentBytes } = this.#log();
    const whole = { offset, lengthBytes, mayPunch, done };
    const pieces = piecesOfZeroes(whole, extentBytes);
    if (pieces.length === 0) return done(true);
    for (const piece of pieces) this.#offer(piece, false);
  }

  /** `done` when everything answered before is as stable as the protocol says. */
  flush(done: WriteDone): void {
    this.flushes.request(done);
  }

  /** The end of a batch: write what the activity log needs. */
  settle(): void {
    this.#commitLog();
    this.flushes.closeFullEpoch();
    this.volume.congestion.settle();
  }

  /** Something that held writes back may be over. */
  retry(): void {
    for (const piece of this.#held.takeAll()) this.#offer(piece, true);
    this.answerWhatIsDue();
    this.flushes.start();
    this.#commitLog();
  }

  /** The activity log transaction ended. */
  logCommitted(ok: boolean): void {
    if (!ok) return this.volume.diskFailed("activity log");
    this.volume.log.committed();
    this.retry();
  }

  /** The peer is as far as `received`, `written`, `stable`. */
  acknowledged(ack: Progress): void {
    if (!this.sent.acknowledged(ack)) {
      return this.volume.link.protocolError("impossible acknowledgement");
    }
    this.answerWhatIsDue();
    this.flushes.end();
    this.releaseStable();
  }

  /** A link is ready to replicate: numbers begin anew. */
  linkReady(): void {
    this.sent.begin();
    this.flushes.forgetAhead();
  }

  /**
   * The peer, or its disk, is gone: what is not stable there is out of sync.
   * Nobody is answered yet ({@link answerWhatIsDue} does, once that is safe).
   */
  peerLost(): void {
    const { bitmap } = this.volume;
    let isMissed = false;
    for (const write of this.transfers.unstable()) {
      if (write.sequence === 0) continue;
      if (write.sequence > this.sent.peer.stable) {
        bitmap?.set(write.offset, write.lengthBytes);
        this.flushes.mayBeLostThere = true;
      }
      isMissed ||= write.sequence > this.sent.peer.written;
    }
    this.transfers.forgetPeer();
    this.flushes.forgetPeer();
    this.sent.forget();
    if (isMissed) this.volume.generations.peerMissesWrites();
  }

  /** Whether a frame was for a disk of the peer that has gone since. */
  isForgotten(sequence: number): boolean {
    return this.sent.isForgotten(sequence);
  }

  /** The local disk is gone: what is on it counts no more. */
  diskLost(): void {
    this.transfers.forgetDisk();
  }

  /** Answer every write that has become as safe as promised, and flushes. */
  answerWhatIsDue(): void {
    if (!this.volume.mayAnswer()) return;
    if (!this.volume.generations.beforeAnswer()) return;
    const { mustBeOnBoth } = this.volume.fence;
    const ready = (write: LoggedWrite) =>
      this.#isAnswerable(write) &&
      (!mustBeOnBoth || write.isLocal && this.#hasPeerCopy(write));
    for (const write of this.transfers.takeAnswerable(ready)) {
      this.busy.remove(write.offset, write.lengthBytes);
      const { done } = write;
      write.done = undefined;
      done?.(this.#isOnGoodDisk(write));
    }
    this.flushes.end();
    this.volume.reads.retry();
  }

  /**
   * Application I/O goes on after nobody had data: what no disk has is held, to
   * be submitted again in its order and before anything newer.
   */
  takeBack(): void {
    const newer = this.#held.takeAll();
    const isHomeless = (write: LoggedWrite) => !this.#isOnGoodDisk(write);
    for (const write of this.transfers.takeHomeless(isHomeless)) {
      this.busy.remove(write.offset, write.lengthBytes);
      if (write.isLogged) this.#log().release(write.offset, write.lengthBytes);
      write.again?.();
    }
    for (const piece of newer) this.#held.add(piece, true);
  }

  /** Fail everything that waits: there is no data to work on any more. */
  failAll(): void {
    for (const piece of this.#held.takeAll()) piece.done(false);
    for (const write of this.transfers.takeAnswerable(() => true)) {
      this.busy.remove(write.offset, write.lengthBytes);
      write.done?.(false);
      write.done = undefined;
    }
    for (const done of this.flushes.takeAll()) done(false);
  }

  /** Close an epoch that nobody flushed for a while, so that extents cool down. */
  tick(nowMs: number): void {
    this.flushes.tick(nowMs);
  }

  /** Make everything stable on both disks, whoever waits for it. */
  stabilise(): void {
    this.flushes.stabilise();
  }

  #offer(piece: Piece, isCopied: boolean): void {
    const { volume } = this;
    // Nothing to wait for, however frozen: it would come with a later role.
    if (volume.state.role !== "Primary") return piece.done(false);
    const mayStart = volume.mayWrite() && !volume.roles.demotion.isRunning &&
      !volume.resize.isHolding &&
      !volume.options.isHolding;
    if (!mayStart) return this.#held.add(piece, isCopied);
    if (!volume.canReachData()) return piece.done(false);
    // Last: what was acquired is released with the write.
    const isLogged = volume.bitmap === undefined ||
      this.#log().acquire(piece.offset, piece.lengthBytes);
    if (!isLogged) return this.#held.add(piece, isCopied);
    this.#submit(piece);
  }

  #submit(piece: Piece): void {
    const { volume } = this;
    const { offset, lengthBytes } = piece;
    const replicate = volume.replicates();
    // Not saved: the disk is gone, and nothing of this write was begun.
    if (!replicate && !volume.generations.beforeUnseenWrite()) {
      return this.#offer(piece, false);
    }
    const sequence = replicate ? this.sent.next() : 0;
    if (replicate) this.#sendPiece(piece, sequence);
    else volume.markUnseen(offset, lengthBytes);
    const isLocal = volume.writeLocally(offset, lengthBytes, piece);
    // With the disk the role may be gone, and everything that waited was failed.
    if (volume.state.role !== "Primary") return piece.done(false);
    // A disk that is being negotiated comes without it.
    if (!isLocal) volume.bitmap?.set(offset, lengthBytes);
    const write: LoggedWrite = {
      offset,
      lengthBytes,
      sequence,
      ordinal: ++this.lastOrdinal,
      isLocal,
      isLogged: volume.bitmap !== undefined,
      again: this.#repeatable(piece),
      done: piece.done,
    };
    this.busy.add(offset, lengthBytes);
    this.transfers.add(write);
    if (this.#isAnswerable(write)) this.answerWhatIsDue();
  }

  /** With `on-no-data-accessible suspend-io` a write is kept until its answer. */
  #repeatable(piece: Piece): (() => void) | undefined {
    if (this.volume.config.onNoData !== "suspend-io") return undefined;
    const kept = { ...piece, data: piece.data?.slice() };
    return () => this.#held.add(kept, true);
  }

  #sendPiece(piece: Piece, sequence: number): void {
    const { offset, lengthBytes, data, mayPunch } = piece;
    this.volume.effects.send(
      data === undefined
        ? { kind: "zero", sequence, offset, lengthBytes, mayPunch }
        : { kind: "data", sequence, offset, payload: data },
    );
    this.flushes.writeSent();
  }

  #isAnswerable(write: LoggedWrite): boolean {
    if (write.sequence === 0) return true; // nobody else has to say anything
    // A copy that a resync is to replace is no copy.
    const isKept = write.isLocal && this.volume.state.disk === "UpToDate";
    if (!isKept) return this.#hasPeerCopy(write);
    switch (this.volume.config.protocol) {
      case "A":
        return true;
      case "B":
        return write.sequence <= this.sent.peer.received;
      case "C":
        return this.#hasPeerCopy(write);
    }
  }

  #hasPeerCopy(write: LoggedWrite): boolean {
    return write.sequence > 0 && write.sequence <= this.sent.peer.written;
  }

  /** A copy on a disk that is not UpToDate is no copy. */
  #isOnGoodDisk(write: LoggedWrite): boolean {
    const { disk, peerDisk } = this.volume.state;
    if (write.isLocal && disk === "UpToDate") return true;
    return write.sequence > 0 && peerDisk === "UpToDate";
  }

  #commitLog(): void {
    const { volume } = this;
    if (volume.bitmap === undefined || !volume.mayWrite()) return;
    const log = this.#log();
    const changes = log.nextTransaction();
    if (changes.length === 0) {
      if (log.starved) this.stabilise();
      return;
    }
    for (const { evicted } of changes) {
      if (!volume.saveBitmapOf(evicted * log.extentBytes, log.extentBytes)) {
        return;
      }
    }
    volume.effects.commitLog(changes, () => log.extents());
  }

  /** Forget writes that are stable wherever they are; their extents cool down. */
  releaseStable(): void {
    const isStable = (write: LoggedWrite) =>
      write.done === undefined &&
      (!write.isLocal || write.ordinal <= this.flushes.localStable) &&
      write.sequence <= this.sent.peer.stable;
    const stable = this.transfers.takeStable(isStable);
    if (stable.length === 0) return;
    for (const write of stable) {
      if (write.isLogged) this.#log().release(write.offset, write.lengthBytes);
    }
    if (this.#log().hasWaiters) this.retry();
  }

  #log(): ActivityLog {
    return this.volume.log;
  }
}
