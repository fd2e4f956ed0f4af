/**
 * Compares our store with that of another member, both ways: takes what is newer
 * there, gives what is newer here (`compare_core.ts` decides which).
 *
 * For joining, both sides must act under the same epoch when it begins, and what
 * was taken is flushed before it counts. The index says nothing of bytes that are
 * missing here, so those are asked for as well: who enters the in-sync set has
 * what the other could give (promises.md F13).
 *
 * @module
 */

import type { GroupName, NodeId } from "@kedge/schema";
import type { FileEntry } from "@kedge/schema/change";
import { wrongEntryId } from "@kedge/schema/wire/records";
import { Entries, FILES_PER_REQUEST_MAX, Given } from "@kedge/schema/wire/sync";
import type { ChangeLog, Clock, Log } from "../ports.ts";
import type { BulkCall, BulkPool } from "./bulk_pool.ts";
import { differingBuckets, planBucket } from "./compare_core.ts";
import type { ContentPuller } from "./content_puller.ts";

/** Entries of one bucket that are taken at most: 4,096 buckets of 100 k. */
const BUCKET_ENTRIES_MAX = 1_000_000;

/** How far a comparison is. */
export interface CompareProgress {
  readonly donor: NodeId;
  readonly epoch: number;
  readonly bucketsTotal: number;
  readonly bucketsDone: number;
  readonly takenFiles: number;
  readonly takenBytes: number;
  readonly givenFiles: number;
  /** Taken per second since it began, in bytes. */
  readonly bytesPerS: number;
  /** Seconds left; `undefined` when it cannot be told yet. */
  readonly etaS: number | undefined;
}

/** What {@linkcode Comparer} works with. */
export interface ComparerOptions {
  readonly group: GroupName;
  readonly log: ChangeLog;
  readonly clock: Clock;
  readonly logger: Log;
  readonly pool: BulkPool;
  readonly puller: ContentPuller;
  /** Our epoch. */
  epoch(): number;
  /** Wait until so many bytes of background work may go. */
  pace(bytes: number, files: number): Promise<void>;
  /** Tell the operator. */
  alarm(why: string): void;
}

/** See the module comment. */
export class Comparer {
  readonly #options: ComparerOptions;
  #progress: CompareProgress | undefined;
  #startedMs = 0;

  /** Nothing is compared yet. */
  constructor(options: ComparerOptions) {
    this.#options = options;
  }

  /** How far the comparison is that runs now. */
  get progress(): CompareProgress | undefined {
    return this.#progress;
  }

  /**
   * Compare with a member under an epoch.
   *
   * @returns Whether we now hold all that it held, flushed. Never throws.
   */
  async compare(donor: NodeId, epoch: number): Promise<boolean> {
    const { logger, clock, log } = this.#options;
    this.#startedMs = clock.monotonicMs();
    try {
      await this.#run(donor, epoch);
      await log.flush();
      const { takenFiles = 0, givenFiles = 0 } = this.#progress ?? {};
      logger.info("compared with a peer", {
        donor,
        epoch,
        takenFiles,
        givenFiles,
      });
      return true;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      logger.warn("the comparison did not finish", { donor, epoch, why });
      return false;
    } finally {
      this.#progress = undefined;
    }
  }

  async #run(donor: NodeId, epoch: number): Promise<void> {
    const { pool, log } = this.#options;
    const buckets = await pool.use(donor, async (call) => {
      const theirs = await this.#theirDigests(call, epoch);
      return differingBuckets(await log.digests(), theirs);
    });
    this.#progress = {
      donor,
      epoch,
      bucketsTotal: buckets.length,
      bucketsDone: 0,
      takenFiles: 0,
      takenBytes: 0,
      givenFiles: 0,
      bytesPerS: 0,
      etaS: undefined,
    };
    let take: FileEntry[] = [];
    let give: FileEntry[] = [];
    for (const index of buckets) {
      const plan = await this.#planBucket(donor, index);
      take.push(...plan.take);
      give.push(...plan.give);
      if (take.length >= FILES_PER_REQUEST_MAX) {
        take = await this.#take(donor, take);
      }
      if (give.length >= FILES_PER_REQUEST_MAX) {
        give = await this.#give(donor, give);
      }
      this.#bucketDone();
    }
    await this.#take(donor, take);
    await this.#give(donor, give);
    await this.#mend(donor);
  }

  /** Files that the index has and whose bytes are missing or wrong here. */
  async #mend(donor: NodeId): Promise<void> {
    for (let after: string | undefined = "";;) {
      const lacking: FileEntry[] = await this.#options.log
        .damaged(FILES_PER_REQUEST_MAX, after);
      await this.#take(donor, lacking);
      after = lacking.at(-1)?.id;
      if (after === undefined) return;
    }
  }

  async #theirDigests(call: BulkCall, epoch: number): Promise<Uint32Array> {
    call.sayBytes("digests-request", new Uint8Array(0));
    const { epoch: theirEpoch, body } = await call.hear("digests");
    const ourEpoch = this.#options.epoch();
    if (theirEpoch !== epoch || ourEpoch !== epoch) {
      throw new Error(
        `the epoch moved: compared under ${epoch}, donor ${theirEpoch}, we ${ourEpoch}`,
      );
    }
    const view = new DataView(body.buffer, body.byteOffset, body.length);
    const digests = new Uint32Array(Math.floor(body.length / 4));
    digests.forEach((_, index) => {
      digests[index] = view.getUint32(index * 4);
    });
    return digests;
  }

  async #planBucket(donor: NodeId, index: number) {
    const { pool, log, alarm } = this.#options;
    const theirs = await pool.use(
      donor,
      (call) => this.#theirBucket(call, index),
    );
    const plan = planBucket(await log.bucket(index), theirs);
    for (const id of plan.conflicts) {
      alarm(`node ${donor} has other content under the same version of ${id}`);
    }
    return plan;
  }

  async #theirBucket(call: BulkCall, index: number): Promise<FileEntry[]> {
    const entries: FileEntry[] = [];
    call.say("bucket-request", { index });
    for (;;) {
      const frame = await call.hear("bucket", "end");
      if (frame.kind === "end") return entries;
      for (const entry of call.parse(Entries, frame).entries) {
        const wrong = wrongEntryId(entry.id, this.#options.group);
        if (wrong !== undefined) throw new Error(wrong);
        entries.push(entry);
      }
      if (entries.length > BUCKET_ENTRIES_MAX) {
        throw new Error("the bucket does not end");
      }
    }
  }

  async #take(
    donor: NodeId,
    entries: readonly FileEntry[],
  ): Promise<FileEntry[]> {
    const { puller, pace } = this.#options;
    if (entries.length > 0) {
      await puller.adoptFrom(donor, entries, {
        pace,
        took: (files, bytes) => this.#took(files, bytes),
      });
    }
    return [];
  }

  async #give(
    donor: NodeId,
    entries: readonly FileEntry[],
  ): Promise<FileEntry[]> {
    const { pool, pace } = this.#options;
    for (let at = 0; at < entries.length; at += GIVE_COUNT) {
      const part = entries.slice(at, at + GIVE_COUNT);
      await pace(
        part.reduce((sum, entry) => sum + entry.sizeBytes, 0),
        part.length,
      );
      const given = await pool.use(donor, async (call) => {
        call.say("give", { entries: part });
        return call.parse(Given, await call.hear("given"));
      });
      const progress = this.#progress;
      if (progress !== undefined) {
        const givenFiles = progress.givenFiles + given.taken;
        this.#progress = { ...progress, givenFiles };
      }
    }
    return [];
  }

  #took(files: number, bytes: number): void {
    const progress = this.#progress;
    if (progress === undefined) return;
    const takenBytes = progress.takenBytes + bytes;
    this.#progress = {
      ...progress,
      takenFiles: progress.takenFiles + files,
      takenBytes,
      bytesPerS: Math.round(takenBytes / Math.max(0.1, this.#spentS)),
    };
  }

  #bucketDone(): void {
    const progress = this.#progress;
    if (progress === undefined) return;
    const bucketsDone = progress.bucketsDone + 1;
    const left = progress.bucketsTotal - bucketsDone;
    const etaS = Math.ceil(this.#spentS / bucketsDone * left);
    this.#progress = { ...progress, bucketsDone, etaS };
  }

  /** Since the comparison began, in seconds. */
  get #spentS(): number {
    return (this.#options.clock.monotonicMs() - this.#startedMs) / 1000;
  }
}

/** Entries that are given in one request: the donor pulls them meanwhile. */
const GIVE_COUNT = 16;
