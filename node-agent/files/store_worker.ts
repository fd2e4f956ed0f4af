/**
 * The store worker: the one thread that writes the database and small files.
 * Its messages are taken in `store_worker_main.ts`.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import type { DatabaseSync } from "node:sqlite";
import { beginDatabase } from "./begin_database.ts";
import { BodyJournals } from "./body_journal.ts";
import { Committer } from "./committer.ts";
import { DigestScan } from "./digest_scan.ts";
import { DigestTable } from "./digest_table.ts";
import { type Duplicates, openDuplicates } from "./duplicates.ts";
import { describeError, isDatabaseFull } from "./disk.ts";
import { FlushTimer } from "./flush_timer.ts";
import { Finisher, type Packing } from "./finisher.ts";
import { KeySweep } from "./key_sweep.ts";
import { Layout } from "./layout.ts";
import { PutOff } from "./packer.ts";
import { openStorePaths } from "./path_gate.ts";
import { pause } from "../turns.ts";
import { Reserve } from "./reserve.ts";
import { Shrinker } from "./shrinker.ts";
import { flushJournals, markDamaged, sweepStaging } from "./run_start.ts";
import { SmallFiles } from "./small_files.ts";
import type { WriteStatements } from "./statements.ts";
import { WaitingTeller } from "./waiting_teller.ts";
import { say, warn } from "./worker_voice.ts";
import { WriteAheadLog } from "./write_ahead_log.ts";
import type {
  Op,
  Opened,
  OpResult,
  PathState,
  ToWorker,
  WorkerOptions,
} from "./worker_messages.ts";

/** Bytes of a change besides its inline body, roughly. */
const CHANGE_BYTES = 2048;
/** A batch with its ops unpacked. */
type Batch = Omit<ToWorker & { readonly kind: "batch" }, "ops"> & {
  readonly ops: readonly Op[];
};

/** One open database with its store paths. */
export class StoreWorker {
  readonly #options: WorkerOptions;
  readonly #database: DatabaseSync;
  readonly #statements: WriteStatements;
  readonly #layout: Layout;
  readonly #finisher: Finisher;
  readonly #committer: Committer;
  readonly #duplicates: Duplicates | undefined;
  readonly #digests = new DigestTable();
  readonly #scan: DigestScan;
  readonly #reserve: Reserve;
  readonly #bodies: BodyJournals;
  readonly #paths: PathState[];
  /** What was found at the start. */
  readonly opened: Opened;
  #failed: string | undefined;
  readonly #flushTimer: FlushTimer;
  readonly #keys: KeySweep;
  readonly #waiting: WaitingTeller;
  readonly #small: SmallFiles;
  #settleTimer: ReturnType<typeof setTimeout> | undefined;
  #isIdling = false;
  #isClosed = false;
  readonly #wal: WriteAheadLog;
  readonly #shrinker: Shrinker;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#layout = new Layout(options.dataDir, options.storePaths);
    this.#bodies = new BodyJournals(this.#layout);
    this.#reserve = new Reserve(this.#layout.reserve, options.reserveFileBytes);
    const begun = beginDatabase(this.#layout, options, this.#reserve);
    this.#database = begun.database;
    this.#statements = begun.statements;
    const { checkpointBytes } = options;
    this.#wal = new WriteAheadLog(this.#database, checkpointBytes, () => {
      if (this.#bodies.isDirty || this.#committer.hasEarly) this.#flush();
      return this.#failed === undefined;
    });
    const { store, incarnation, digests, run, flushedTo } = begun;
    this.#paths = openStorePaths(this.#layout, this.#statements, store);
    const mayWrite = (index: number) =>
      this.#paths[index]?.state === "writable";
    this.#finisher = new Finisher(
      this.#layout,
      this.#statements,
      {
        fence: (pathIndex, reason) => this.#fence(pathIndex, reason),
        mayWrite,
        lost: ({ id, epoch, version }) => {
          warn("a file that was to be changed is missing", { id });
          this.#guard(() =>
            this.#statements.markFile.run({ id, epoch, version, damaged: 1 })
          );
        },
        mended: ({ id, epoch, version }) =>
          this.#guard(() =>
            this.#statements.markFile.run({ id, epoch, version, damaged: 0 })
          ),
      },
      this.#bodies,
      options.isShared,
    );
    const parts = {
      database: this.#database,
      statements: this.#statements,
      layout: this.#layout,
      finisher: this.#finisher,
      transact: this.#transact.bind(this),
      fence: this.#fence.bind(this),
      mayWrite,
      isOver: () => this.#isOver(),
      warn,
    };
    this.#shrinker = new Shrinker({
      ...parts,
      transact: (act) => {
        this.#guard(() => this.#committer.transact(act, false));
        this.#flushTimer.start();
      },
      grown: (bytes) => {
        const fault = this.#wal.grow(bytes);
        if (fault !== undefined) this.#fail(fault);
      },
    }, options.freePagesMin);
    const leave = (to: Packing) => this.#finisher.packing = to;
    this.#small = new SmallFiles(parts, options, leave);
    this.#keys = new KeySweep(this.#statements, options.keyLifeMs);
    const tell = (bytes: readonly number[]) => say({ kind: "waiting", bytes });
    this.#waiting = new WaitingTeller(this.#finisher.waitingBytes, tell);
    const isOver = () => this.#isOver();
    this.#scan = new DigestScan(this.#digests, this.#statements, isOver);
    const flush = () => this.#flush();
    this.#flushTimer = new FlushTimer(options.flushDelayMs, flush);
    this.#paths.forEach(({ state }, index) => {
      if (state === "writable") this.#finisher.flusher.watch(index);
    });
    const { file } = this.#statements;
    const damaged = this.#finisher.replay((id) => file.get({ id }));
    sweepStaging(this.#layout, this.#paths, this.#finisher);
    flushJournals(parts);
    if (digests !== undefined) this.#digests.restore(digests);
    const head = this.#statements.lastSequence.get({ incarnation })?.last ?? 0;
    this.#committer = new Committer({
      ...parts,
      small: this.#small,
      digests: this.#digests,
      incarnation,
      head,
      bodies: this.#bodies,
      flushedTo,
      slow: (pauseMs) => say({ kind: "slow-flush", pauseMs }),
    }, Math.max(this.#finisher.lastNumber, flushedTo));
    this.#duplicates = openDuplicates(options.checkDuplicates, parts);
    markDamaged(this.#statements, damaged);
    this.#reserve.fill();
    this.#scan.slice();
    const [{ present }, { tombstones }] = [this.#digests, this.#committer];
    const { hasPacked } = this.#small;
    const counts = { present, tombstones, paths: this.#paths, hasPacked };
    this.opened = { store, incarnation, run, head, ...counts };
    this.#settleTimer = setInterval(
      () => void this.#idle(),
      Math.max(10, options.settleDelayMs / 10),
    );
    this.#scan.goOn();
    if (this.#committer.hasUnflushed) this.#flushTimer.start();
  }

  #fence(pathIndex: number, reason: string): void {
    if (this.#paths[pathIndex]?.state !== "writable") return;
    const state: PathState = { state: "fenced", reason };
    this.#paths[pathIndex] = state;
    this.#bodies.leave(pathIndex);
    this.#finisher.flusher.renew(pathIndex);
    say({ kind: "path", pathIndex, state });
    warn("a store path is fenced after an I/O error", { pathIndex, reason });
    // At once: the next start must not trust the disk either.
    try {
      if (!this.#database.isTransaction) {
        this.#statements.putPath.run({ pathIndex, fenced: reason });
      }
    } catch (error) {
      warn("a fence could not be saved", { why: describeError(error) });
    }
  }

  /** Store a batch. */
  batch(message: Batch): void {
    const { request, ops, bytes, bodyBytes, durable, heldMs } = message;
    if (this.#failed !== undefined) {
      return say({ kind: "failed", request, why: this.#failed });
    }
    const { writtenBytes } = this.#bodies;
    try {
      for (const op of ops) this.#beforeFence(op);
      const results = this.#commit(message);
      for (const op of ops) this.#afterFence(op);
      this.#answer(request, results, bytes);
    } catch (error) {
      const why = this.#fail(error);
      return say({ kind: "failed", request, why });
    }
    this.#waiting.look();
    if (durable) this.#flushTimer.stop();
    else this.#flushTimer.start(heldMs);
    if (this.#bodies.hasMany) void this.#settleEarly();
    const elsewhere = this.#bodies.writtenBytes - writtenBytes;
    const changes = ops.length * CHANGE_BYTES;
    const fault = this.#wal.grow(bodyBytes - elsewhere + changes);
    if (fault !== undefined) this.#fail(fault);
  }

  #beforeFence(op: Op): void {
    if (op.kind !== "fence") return;
    const { pathIndex, reason } = op;
    const isFenced = reason !== null;
    this.#paths[pathIndex] = isFenced
      ? { state: "fenced", reason }
      : { state: "writable", reason: undefined };
    // It may be another disk by now.
    this.#bodies.leave(pathIndex);
    this.#finisher.flusher.renew(pathIndex);
  }

  #afterFence(op: Op): void {
    if (op.kind !== "fence" || op.reason !== null) return;
    this.#small.packer?.tidy(op.pathIndex);
    this.#finisher.renew(op.pathIndex);
    this.#finisher.flusher.watch(op.pathIndex);
  }

  #commit({ ops, bytes, durable }: Batch) {
    const commit = () => this.#committer.commit(ops, bytes, durable);
    return this.#reserve.lendTo(commit, () => {
      warn("the disk of the database is full; the reserve is used", {});
      say({ kind: "database-full", isFull: true });
    });
  }

  #flush(): void {
    if (!this.#committer.hasUnflushed) return;
    const nothing = { bytes: new Uint8Array(0), bodyBytes: 0, heldMs: 0 };
    const ops = [{ kind: "flush" } as const];
    this.batch({ kind: "batch", request: -1, durable: true, ops, ...nothing });
  }

  /** Work that can wait: settle, scan, fill the reserve, forget old keys. */
  async #idle(): Promise<void> {
    if (this.#isOver() || this.#isIdling) return;
    await this.#alone(async () => {
      this.#finisher.retryStuck();
      this.#scan.goOn();
      if (this.#reserve.isReleased && this.#reserve.fill()) {
        say({ kind: "database-full", isFull: false });
      }
      this.#guard(() => this.#keys.run());
      this.#small.retry();
      while (await this.#settle(this.#options.settleDelayMs));
      await this.#compact();
      await this.#shrinker.run();
    });
  }

  async #alone(work: () => Promise<void>): Promise<void> {
    this.#isIdling = true;
    try {
      await work();
    } finally {
      this.#isIdling = false;
    }
  }

  /** Much was written lately: have files flushed, and journals emptied. */
  async #settleEarly(): Promise<void> {
    if (this.#isIdling) return;
    await this.#alone(async () => {
      while (this.#bodies.hasMany && await this.#settle(0));
    });
  }

  #isOver(): boolean {
    return this.#failed !== undefined || this.#isClosed;
  }

  /** Returns whether anything was settled. */
  async #settle(minAgeMs: number): Promise<boolean> {
    if (this.#isOver()) return false;
    const settled = await this.#finisher.settle(performance.now() - minAgeMs);
    if (this.#isOver() || settled.length === 0) return false;
    await this.#duplicates?.link(settled);
    if (this.#isOver()) return false;
    this.#guard(() =>
      this.#committer.forget(settled.map(({ number }) => number))
    );
    if (!this.#isOver()) this.#finisher.forgotten(settled);
    this.#waiting.look();
    this.#flushTimer.start();
    return true;
  }

  async #compact(): Promise<void> {
    while (await this.#small.compact()) this.#flushTimer.start();
  }

  #transact(act: () => void, durable: boolean): void {
    let isStored = false;
    this.#guard(() => {
      this.#committer.transact(act, durable);
      isStored = true;
    });
    if (!isStored) throw new PutOff("nothing was stored");
  }

  /** Close the log when a statement outside a batch fails. */
  #guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!isDatabaseFull(error)) this.#fail(error);
    }
  }

  #fail(error: unknown): string {
    const why = `the database cannot be written: ${describeError(error)}`;
    this.#failed = why;
    warn("the log is closed", { why });
    return why;
  }

  /** Send the digests once every row is counted. */
  digests(request: number): void {
    if (this.#scan.slice()) {
      setTimeout(() => this.digests(request), 0);
      return;
    }
    const { sums, presentSums } = this.#digests;
    const present = presentSums.slice();
    say({ kind: "digests", request, digests: sums.slice(), present });
  }

  /** Settle everything older than this now. */
  async settleNow(request: number, minAgeMs: number): Promise<void> {
    while (this.#isIdling) await pause();
    await this.#alone(async () => {
      this.#finisher.retryStuck();
      while (await this.#settle(minAgeMs));
      await this.#compact();
      await this.#shrinker.run();
    });
    this.#answer(request);
  }

  /** Pack small files from now on, or no more. */
  pack(request: number, sizeBytesMax: number): void {
    if (!this.#isOver()) this.#small.follow(sizeBytesMax);
    this.#answer(request);
  }

  #answer(
    request: number,
    results: readonly OpResult[] = [],
    bytes = new Uint8Array(0),
  ): void {
    const [{ present }, { tombstones }] = [this.#digests, this.#committer];
    const answer = { kind: "answer", request, results } as const;
    say({ ...answer, present, tombstones, bytes }, [bytes.buffer]);
  }

  /** End the run; a clean end is durable before this returns. */
  close(request: number, clean: boolean): void {
    this.#isClosed = true;
    clearInterval(this.#settleTimer);
    this.#flushTimer.stop();
    if (clean && this.#failed === undefined) {
      const digests = this.#digests.save();
      const ops = [{ kind: "state", key: "clean", value: "1" }] as const;
      const saved = digests === undefined
        ? []
        : [{ kind: "state", key: "digests", value: digests }] as const;
      this.#committer.commit([...ops, ...saved], new Uint8Array(0), true);
    }
    if (this.#failed === undefined) this.#flush();
    this.#bodies.sync(); // closing flushes the records
    this.#database.close();
    this.#bodies.close();
    this.#finisher.flusher.close();
    this.#answer(request);
    self.close();
  }
}
