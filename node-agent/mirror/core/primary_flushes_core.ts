/**
 * The flushes of a Primary: one at a time on both disks, shared by everybody
 * who waits; and those that nobody waits for, which close an epoch.
 *
 * Source: DRBD 8.4, reference §4.5; promises.md B6.
 *
 * @module
 */

import type { PrimaryWrites } from "./primary_writes_core.ts";
import { RunningFlush } from "./running_flush_core.ts";
import type { WriteDone } from "./write_pieces_core.ts";

/** Epochs are closed after so many bytes even without a flush. */
const EPOCH_BYTES_MAX = 64 * 1024 * 1024;

/** Epochs are closed after so long, in ms; as often as a journal commits. */
const EPOCH_MS_MAX = 5_000;

/**
 * An epoch that is full is closed anew only after so many more writes: until the
 * peer has answered, the flush before counts for the rest.
 */
const EPOCH_WRITES_MIN = 64;

/**
 * So many flushes in a row with one write before each, and the next one is
 * expected behind the next write.
 */
const REGULAR_MIN = 8;

/** See the module comment. */
export class PrimaryFlushes {
  /** After how many regular flushes one is sent ahead; fewer in simulations. */
  regularMin: number = REGULAR_MIN;
  /** Writes up to this one are stable on our disk. */
  localStable = 0;
  /** The peer went with answered writes that were not stable there. */
  mayBeLostThere = false;
  #waiters: WriteDone[] = [];
  #running: RunningFlush | undefined;
  #lastActivityMs = 0;
  #regular = 0;
  /** The number of our last write when the last flush was asked for. */
  #requestedAt = 0;
  /** The number of our last write when the last flush began. */
  #begunAt = 0;
  /** The frame of a flush that was sent behind a write; 0: none. */
  #aheadSequence = 0;

  constructor(readonly writes: PrimaryWrites) {}

  /** Whether nobody waits for one and none runs. */
  get isIdle(): boolean {
    return this.#running === undefined && this.#waiters.length === 0;
  }

  /** `done` when everything answered before is as stable as the protocol says. */
  request(done: WriteDone): void {
    this.#noteRhythm();
    this.#waiters.push(done);
    this.start();
  }

  /**
   * A write was sent. Where each one is flushed the peer begins with it now, and
   * not a round trip later. With A and B a flush holds back what follows it.
   */
  writeSent(): void {
    const { volume, sent, lastOrdinal } = this.writes;
    const isExpected = this.#regular >= this.regularMin &&
      lastOrdinal === this.#requestedAt && volume.config.protocol === "C";
    if (!isExpected) return;
    const sequence = this.#aheadSequence = sent.nextFlush();
    volume.effects.send({ kind: "flush", sequence, barrier: false });
  }

  /** The peer's disk may hold what no flush of ours has covered. */
  forgetAhead(): void {
    this.#aheadSequence = 0;
  }

  #noteRhythm(): void {
    const { lastOrdinal } = this.writes;
    const count = lastOrdinal - this.#requestedAt;
    this.#requestedAt = lastOrdinal;
    if (count === 1) this.#regular++;
    else if (count > 1) this.#regular = 0;
  }

  /** Make everything stable on both disks, whoever waits for it. */
  stabilise(): void {
    const { transfers } = this.writes;
    if (this.#running !== undefined || transfers.unstableWrites === 0) return;
    this.#begin([]);
  }

  /**
   * Close an epoch that has grown too large. With A nobody waits for the peer:
   * what is not stable there stays in the log, however often we flush.
   */
  closeFullEpoch(): void {
    const { transfers, volume, lastOrdinal } = this.writes;
    const few = Math.min(EPOCH_WRITES_MIN, volume.config.maxEpochWrites);
    if (lastOrdinal - this.#begunAt < few) return;
    const isFull = transfers.unstableWrites >= volume.config.maxEpochWrites ||
      transfers.unstableBytes >= EPOCH_BYTES_MAX;
    if (isFull) this.stabilise();
  }

  /** Close an epoch that nobody flushed for a while, so that extents cool down. */
  tick(nowMs: number): void {
    const { transfers } = this.writes;
    if (transfers.unstableWrites === 0) this.#lastActivityMs = nowMs;
    if (nowMs - this.#lastActivityMs < EPOCH_MS_MAX) return;
    this.#lastActivityMs = nowMs;
    this.stabilise();
  }

  /** Begin the next one, if somebody waits and it may. */
  start(): void {
    const { volume } = this.writes;
    if (this.#running !== undefined || this.#waiters.length === 0) return;
    if (!volume.mayWrite()) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    if (volume.canReachData()) return this.#begin(waiters);
    for (const done of waiters) done(false);
  }

  /** Answer the running one, if it is as far as promised. */
  end(): void {
    const { volume, sent } = this.writes;
    const flush = this.#running;
    if (flush === undefined || flush.local === "running") return;
    if (!volume.mayAnswer()) return;
    const verdict = flush.verdict(sent.peer);
    if (verdict === "wait") return;
    if (flush.waiters.length > 0 && !this.#isNamed(flush)) return;
    this.#running = undefined;
    for (const done of flush.waiters) done(verdict === "ok");
    this.writes.releaseStable();
    this.start();
  }

  /** The peer is gone: it is not waited for. */
  forgetPeer(): void {
    this.#begunAt = 0;
    this.forgetAhead();
    this.#running?.forgetPeer();
  }

  /** There is no data to work on any more: everybody who waited, to be failed. */
  takeAll(): WriteDone[] {
    const all = [...this.#waiters, ...this.#running?.waiters ?? []];
    this.#waiters = [];
    this.#running = undefined;
    return all;
  }

  #begin(waiters: readonly WriteDone[]): void {
    const { volume, sent, lastOrdinal } = this.writes;
    const { protocol } = volume.config;
    this.#begunAt = lastOrdinal;
    const replicate = volume.replicates();
    const isAhead = replicate && protocol === "C" &&
      this.#aheadSequence > 0 && sent.last === this.#aheadSequence;
    const flush = new RunningFlush(
      waiters,
      lastOrdinal,
      isAhead ? sent.last : replicate ? sent.nextFlush() : 0,
      { hasDisk: volume.hasLocalDisk, protocol },
    );
    this.#running = flush;
    if (replicate && !isAhead) {
      const { sequence } = flush;
      // With C a flush is answered when it is stable there: until then no write
      // can depend on it. One that nobody waits for orders nothing at all.
      const barrier = waiters.length > 0 && protocol !== "C";
      volume.effects.send({ kind: "flush", sequence, barrier });
    }
    if (volume.hasLocalDisk) {
      volume.flusher.request((stable) => this.#flushedHere(flush, stable));
    }
    this.end();
  }

  #flushedHere(flush: RunningFlush, stable: boolean): void {
    flush.local = stable ? "stable" : "failed";
    if (stable) this.localStable = Math.max(this.localStable, flush.ordinal);
    else this.#begunAt = 0;
    this.end();
    this.writes.releaseStable();
  }

  /** Before we alone promise what the peer may have lost with its power. */
  #isNamed({ sequence }: RunningFlush): boolean {
    const { generations, bitmap } = this.writes.volume;
    if (sequence > 0 || !this.mayBeLostThere) return true;
    this.mayBeLostThere = false;
    if ((bitmap?.count ?? 0) > 0) generations.peerMissesWrites();
    return generations.beforeAnswer();
  }
}
