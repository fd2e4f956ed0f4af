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
import { RunningFlush } from "./running_flush_core.ts";
import { type LoggedWrite, TransferLog } from "./transfer_log_core.ts";
import {
  type Piece,
  piecesOfZeroes,
  type WriteDone,
} from "./write_pieces_core.ts";
import type { VolumeCore } from "./volume_core.ts";

/** Epochs are closed after so many bytes even without a flush. */
const EPOCH_BYTES_MAX = 64 * 1024 * 1024;

/** Epochs are closed after so long, in ms; as often as a journal commits. */
const EPOCH_MS_MAX = 5_000;

/** Bytes of held writes after which no more requests are welcome. */
const HELD_BYTES_MAX = 8 * 1024 * 1024;

/** See the module comment. */
export class PrimaryWrites {
  readonly transfers = new TransferLog();
  /** Blocks with writes that are not answered yet. */
  readonly busy = new BusyBlocks();
  #held: Piece[] = [];
  #heldBytes = 0;
  #sequence = 0;
  /** Frames up to this one were given up when the peer lost its disk. */
  #forgottenUpTo = 0;
  #ordinal = 0;
  #localStable = 0;
  #peer = { received: 0, written: 0, stable: 0 };
  #flushWaiters: WriteDone[] = [];
  #flush: RunningFlush | undefined;
  /** The peer went with answered writes that were not stable there. */
  #mayBeLostThere = false;
  #lastActivityMs = 0;

  constructor(readonly volume: VolumeCore) {}

  /** Whether no more requests should be taken for now. */
  get isFull(): boolean {
    return this.#heldBytes > HELD_BYTES_MAX;
  }

  /** Writes that the application waits for (`ap` of /proc/drbd), held ones included. */
  get pending(): number {
    return this.transfers.unansweredWrites + this.#held.length;
  }

  /** Frames that the peer has not confirmed as the protocol wants (`pe`). */
  get unconfirmed(): number {
    const settled = Math.max(this.#peer.written, this.#forgottenUpTo);
    return Math.max(0, this.#sequence - settled);
  }

  /** Whether the peer has everything that was sent to it on its disk. */
  get isStableThere(): boolean {
    return Math.max(this.#peer.stable, this.#forgottenUpTo) >= this.#sequence;
  }

  /** Whether the oldest write is stable here, and not there. */
  get waitsForPeer(): boolean {
    const [oldest] = this.transfers.unstable();
    return oldest !== undefined && oldest.sequence > this.#peer.stable &&
      oldest.ordinal <= this.#localStable;
  }

  /** Nothing follows for a while: what was sent is to become stable there. */
  endStream(): void {
    if (this.isStableThere) return;
    const sequence = ++this.#sequence;
    this.volume.effects.send({ kind: "flush", sequence, barrier: false });
  }

  /** Whether the peer has writes that a loss of its power would take. */
  get hasUnstableThere(): boolean {
    return this.transfers.unstable().some(({ sequence }) =>
      sequence > this.#peer.stable
    );
  }

  /** Whether nothing is under way: a demotion may go on. */
  get isIdle(): boolean {
    return this.pending === 0 && this.#flush === undefined &&
      this.#flushWaiters.length === 0;
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
    this.#flushWaiters.push(done);
    this.#startFlush();
  }

  /** The end of a batch: write what the activity log needs. */
  settle(): void {
    this.#commitLog();
    this.#closeFullEpoch();
    this.volume.congestion.settle();
  }

  /** Something that held writes back may be over. */
  retry(): void {
    const held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    for (const piece of held) this.#offer(piece, true);
    this.answerWhatIsDue();
    this.#startFlush();
    this.#commitLog();
  }

  /** The activity log transaction ended. */
  logCommitted(ok: boolean): void {
    if (!ok) return this.volume.diskFailed("activity log");
    this.volume.log.committed();
    this.retry();
  }

  /** The peer is as far as `received`, `written`, `stable`. */
  acknowledged(ack: { received: number; written: number; stable: number }) {
    if (!this.#isPlausible(ack)) {
      return this.volume.link.protocolError("impossible acknowledgement");
    }
    this.#peer = {
      received: ack.received,
      written: ack.written,
      stable: ack.stable,
    };
    this.answerWhatIsDue();
    this.#endFlush();
    this.#releaseStable();
  }

  /** A link is ready to replicate: numbers begin anew. */
  linkReady(): void {
    this.#sequence = 0;
    this.#forgottenUpTo = 0;
    this.#peer = { received: 0, written: 0, stable: 0 };
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
      if (write.sequence > this.#peer.stable) {
        bitmap?.set(write.offset, write.lengthBytes);
        this.#mayBeLostThere = true;
      }
      isMissed ||= write.sequence > this.#peer.written;
    }
    this.transfers.forgetPeer();
    this.#flush?.forgetPeer();
    this.#forgottenUpTo = this.#sequence;
    if (isMissed) this.volume.generations.peerMissesWrites();
  }

  /** Whether a frame was for a disk of the peer that has gone since. */
  isForgotten(sequence: number): boolean {
    return sequence <= this.#forgottenUpTo;
  }

  /** The local disk is gone: what is on it counts no more. */
  diskLost(): void {
    this.transfers.forgetDisk();
  }

  /** Answer every write that has become as safe as promised, and flushes. */
  answerWhatIsDue(): void {
    if (!this.volume.mayAnswer()) return;
    if (!this.volume.generations.beforeAnswer()) return;
    const ready = (write: LoggedWrite) => this.#isAnswerable(write);
    for (const write of this.transfers.takeAnswerable(ready)) {
      this.busy.remove(write.offset, write.lengthBytes);
      const { done } = write;
      write.done = undefined;
      done?.(this.#isOnGoodDisk(write));
    }
    this.#endFlush();
    this.volume.reads.retry();
  }

  /**
   * Application I/O goes on after nobody had data: what no disk has is
   * submitted again, in its order and before anything newer.
   */
  resend(): void {
    const newer = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    const isHomeless = (write: LoggedWrite) => !this.#isOnGoodDisk(write);
    for (const write of this.transfers.takeHomeless(isHomeless)) {
      this.busy.remove(write.offset, write.lengthBytes);
      if (write.isLogged) this.#log().release(write.offset, write.lengthBytes);
      write.again?.();
    }
    for (const piece of newer) this.#offer(piece, true);
    this.retry();
  }

  /** Fail everything that waits: there is no data to work on any more. */
  failAll(): void {
    const held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    for (const piece of held) piece.done(false);
    for (const write of this.transfers.takeAnswerable(() => true)) {
      this.busy.remove(write.offset, write.lengthBytes);
      write.done?.(false);
      write.done = undefined;
    }
    const flushes = [...this.#flushWaiters, ...this.#flush?.waiters ?? []];
    this.#flushWaiters = [];
    this.#flush = undefined;
    for (const done of flushes) done(false);
  }

  /** Close an epoch that nobody flushed for a while, so that extents cool down. */
  tick(nowMs: number): void {
    if (this.transfers.unstableWrites === 0) this.#lastActivityMs = nowMs;
    if (nowMs - this.#lastActivityMs < EPOCH_MS_MAX) return;
    this.#lastActivityMs = nowMs;
    this.stabilise();
  }

  #offer(piece: Piece, isCopied: boolean): void {
    const { volume } = this;
    const mayStart = volume.mayWrite() && !volume.roles.isDemoting &&
      !volume.resize.isHolding &&
      !volume.options.isHolding;
    if (!mayStart) return this.#hold(piece, isCopied);
    const isServing = volume.state.role === "Primary" && volume.canReachData();
    if (!isServing) return piece.done(false);
    // Last: what was acquired is released with the write.
    const isLogged = volume.bitmap === undefined ||
      this.#log().acquire(piece.offset, piece.lengthBytes);
    if (!isLogged) return this.#hold(piece, isCopied);
    this.#submit(piece);
  }

  #hold(piece: Piece, isCopied: boolean): void {
    const data = isCopied ? piece.data : piece.data?.slice();
    this.#held.push({ ...piece, data });
    this.#heldBytes += piece.data === undefined ? 0 : piece.lengthBytes;
  }

  #submit(piece: Piece): void {
    const { volume } = this;
    const { offset, lengthBytes } = piece;
    const replicate = volume.replicates();
    if (!replicate && !volume.generations.beforeUnseenWrite()) {
      return piece.done(false);
    }
    const sequence = replicate ? ++this.#sequence : 0;
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
      ordinal: ++this.#ordinal,
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
    return () => this.#hold(kept, true);
  }

  #sendPiece(piece: Piece, sequence: number): void {
    const { offset, lengthBytes, data, mayPunch } = piece;
    this.volume.effects.send(
      data === undefined
        ? { kind: "zero", sequence, offset, lengthBytes, mayPunch }
        : { kind: "data", sequence, offset, payload: data },
    );
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
        return write.sequence <= this.#peer.received;
      case "C":
        return this.#hasPeerCopy(write);
    }
  }

  #hasPeerCopy(write: LoggedWrite): boolean {
    return write.sequence > 0 && write.sequence <= this.#peer.written;
  }

  /** A copy on a disk that is not UpToDate is no copy. */
  #isOnGoodDisk(write: LoggedWrite): boolean {
    const { disk, peerDisk } = this.volume.state;
    if (write.isLocal && disk === "UpToDate") return true;
    return write.sequence > 0 && peerDisk === "UpToDate";
  }

  #isPlausible(ack: { received: number; written: number; stable: number }) {
    return ack.received <= this.#sequence && ack.written <= ack.received &&
      ack.stable <= ack.written && ack.received >= this.#peer.received &&
      ack.written >= this.#peer.written && ack.stable >= this.#peer.stable;
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

  #closeFullEpoch(): void {
    const isFull =
      this.transfers.unstableWrites >= this.volume.config.maxEpochWrites ||
      this.transfers.unstableBytes >= EPOCH_BYTES_MAX;
    if (isFull) this.stabilise();
  }

  /** Make everything stable on both disks, whoever waits for it. */
  stabilise(): void {
    if (this.#flush !== undefined || this.transfers.unstableWrites === 0) {
      return;
    }
    this.#beginFlush([]);
  }

  #startFlush(): void {
    if (this.#flush !== undefined || this.#flushWaiters.length === 0) return;
    if (!this.volume.mayWrite()) return;
    if (!this.volume.canReachData()) {
      const waiters = this.#flushWaiters;
      this.#flushWaiters = [];
      for (const done of waiters) done(false);
      return;
    }
    const waiters = this.#flushWaiters;
    this.#flushWaiters = [];
    this.#beginFlush(waiters);
  }

  #beginFlush(waiters: readonly WriteDone[]): void {
    const { volume } = this;
    const replicate = volume.replicates();
    const flush = new RunningFlush(
      waiters,
      this.#ordinal,
      replicate ? ++this.#sequence : 0,
      { hasDisk: volume.hasLocalDisk, protocol: volume.config.protocol },
    );
    this.#flush = flush;
    if (replicate) {
      const { sequence } = flush;
      // With C a flush is answered when it is stable there: until then no write
      // can depend on it. One that nobody waits for orders nothing at all.
      const barrier = waiters.length > 0 && volume.config.protocol !== "C";
      volume.effects.send({ kind: "flush", sequence, barrier });
    }
    if (volume.hasLocalDisk) {
      volume.flusher.request((stable) => this.#flushedHere(flush, stable));
    }
    this.#endFlush();
  }

  #flushedHere(flush: RunningFlush, stable: boolean): void {
    flush.local = stable ? "stable" : "failed";
    if (stable) this.#localStable = Math.max(this.#localStable, flush.ordinal);
    this.#endFlush();
    this.#releaseStable();
  }

  #endFlush(): void {
    const flush = this.#flush;
    if (flush === undefined || flush.local === "running") return;
    if (!this.volume.mayAnswer()) return;
    const verdict = flush.verdict(this.#peer);
    if (verdict === "wait") return;
    if (flush.waiters.length > 0 && !this.#isNamed(flush)) return;
    this.#flush = undefined;
    for (const done of flush.waiters) done(verdict === "ok");
    this.#releaseStable();
    this.#startFlush();
  }

  /** Before we alone promise what the peer may have lost with its power. */
  #isNamed({ sequence }: RunningFlush): boolean {
    const { generations, bitmap } = this.volume;
    if (sequence > 0 || !this.#mayBeLostThere) return true;
    this.#mayBeLostThere = false;
    if ((bitmap?.count ?? 0) > 0) generations.peerMissesWrites();
    return generations.beforeAnswer();
  }

  /** Forget writes that are stable wherever they are; their extents cool down. */
  #releaseStable(): void {
    const isStable = (write: LoggedWrite) =>
      write.done === undefined &&
      (!write.isLocal || write.ordinal <= this.#localStable) &&
      write.sequence <= this.#peer.stable;
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
