/**
 * The target of a resync: asks for what is out of sync, block by block.
 *
 * Every 100 ms the controller says how much to ask for; `max-buffers` bounds
 * what is on its way, so that more is asked for as answers come. What arrives is
 * written, flushed in batches, and only then cleared here and at the source.
 * A range that the application writes meanwhile (a Primary can be target) is
 * dropped from the resync and asked for again: newer data wins.
 *
 * Source: DRBD 8.4, reference §4.7; promises.md B10, I12, finding 7.
 *
 * @module
 */

import {
  MIRROR_PAYLOAD_BYTES_MAX,
  type ResyncDataFrame,
} from "@kedge/schema/wire/mirror";
import {
  noteRequested,
  requestsMax,
  type ResyncController,
  SECTORS_PER_REQUEST,
  startController,
  stepController,
} from "../decisions/resync_controller_core.ts";
import { BLOCK_BYTES } from "./bitmap_core.ts";
import type { VolumeCore } from "./volume_core.ts";

/** Milliseconds between two steps of the controller. */
const STEP_MS = 100;
/** A tick that comes a little too early is a step, too. */
const EARLY_MS = 20;
/** Written bytes after which the disk is flushed. */
const BATCH_BYTES = 32 * 1024 * 1024;
/**
 * The most that is on its way, whatever `max-buffers` says: a source that always
 * has something to send looks at nothing else, and the application waits.
 */
const FLIGHT_BYTES_MAX = 32 * 1024 * 1024;
const SECTOR_BYTES = 512;

interface Request {
  readonly id: number;
  readonly offset: number;
  readonly lengthBytes: number;
  /** The application wrote here after we asked, or a write failed here. */
  isSuperseded: boolean;
}

/** How far a resync is, for people. */
export interface ResyncProgress {
  /** Blocks that were out of sync when it began. */
  readonly totalBlocks: number;
  readonly leftBlocks: number;
  /** KiB per second that the controller wants. */
  readonly wantKibPerSecond: number;
  readonly startedMs: number;
  /** Requests that the source could not answer. */
  readonly failedBlocks: number;
}

/** See the module comment. */
export class ResyncTarget {
  /** Progress of the running resync; undefined without one. */
  progress: ResyncProgress | undefined;
  #controller: ResyncController | undefined;
  #asked: Request[] = [];
  #askedBytes = 0;
  #written: Request[] = [];
  #writtenBytes = 0;
  #isFlushing = false;
  #flushing: readonly Request[] = [];
  #arrivedSectors = 0;
  #budget = 0;
  #cursor = 0;
  /** Never begun anew: the answers of an earlier resync may still come. */
  #lastId = 0;
  #dueMs = 0;
  #failed = 0;
  #usesChecksums = false;
  /** The source has said that it is one: it replicates from then on. */
  #isLed = false;
  /** Counts resyncs. */
  #run = 0;

  constructor(readonly volume: VolumeCore) {}

  /** Begin: everything that must be durable is, except the word Inconsistent. */
  begin(): void {
    const { volume } = this;
    this.#reset();
    const crashed = volume.persistent?.flags.crashedPrimary ?? false;
    this.#usesChecksums = volume.config.checksumAlgorithm !== "" &&
      (crashed || !volume.config.checksumAfterCrashOnly);
    this.#controller = startController(volume.config.resync);
    this.progress = {
      totalBlocks: volume.bitmap?.count ?? 0,
      leftBlocks: volume.bitmap?.count ?? 0,
      wantKibPerSecond: 0,
      startedMs: volume.nowMs,
      failedBlocks: 0,
    };
    this.#dueMs = volume.nowMs;
    volume.change({ connection: "SyncTarget", disk: "Inconsistent" });
    this.tick(volume.nowMs);
  }

  /** The link is down, or the disk is gone: what is asked for never comes. */
  stop(): void {
    this.#reset();
    this.progress = undefined;
  }

  /**
   * The source has said that it is one: its writes come to us, and those before
   * are marked here. Only then may we be done.
   */
  sourceReplicates(): void {
    if (this.#controller === undefined || this.#isLed) return;
    this.#isLed = true;
    this.#finishIfDone();
  }

  /** Ask for more when it is time. */
  tick(nowMs: number): void {
    const { volume } = this;
    if (this.#controller === undefined || nowMs < this.#dueMs - EARLY_MS) {
      return;
    }
    this.#dueMs = Math.max(this.#dueMs, nowMs - EARLY_MS) + STEP_MS;
    const step = stepController(
      this.#controller,
      this.#arrivedSectors,
      volume.config.resync,
    );
    this.#arrivedSectors = 0;
    this.#controller = step.controller;
    if (volume.state.connection !== "SyncTarget") return;
    this.#budget = step.wanted;
    this.#note(step.rateKibPerSecond);
    this.#ask();
    this.#flushIfDue();
  }

  /** The end of a batch. */
  settle(): void {
    if (this.#controller === undefined) return;
    if (this.volume.state.connection === "SyncTarget") this.#ask();
    this.#flushIfDue();
  }

  /** An answer of the source. */
  arrived(frame: ResyncDataFrame): void {
    const { volume } = this;
    if (this.#controller === undefined) return;
    const oldest = this.#asked[0]?.id ?? this.#lastId + 1;
    if (frame.id < oldest) return; // of a resync that was aborted
    const request = this.#asked.shift();
    const fits = request !== undefined && request.id === frame.id &&
      request.offset === frame.offset &&
      request.lengthBytes === frame.lengthBytes &&
      (frame.outcome !== "data" || frame.payload.length === frame.lengthBytes);
    if (!fits) {
      return volume.link.protocolError("a resync answer nobody asked for");
    }
    this.#askedBytes -= request.lengthBytes;
    this.#arrivedSectors += request.lengthBytes / SECTOR_BYTES;
    if (frame.outcome === "failed") {
      this.#failed += request.lengthBytes / BLOCK_BYTES;
    } else if (!request.isSuperseded) {
      if (frame.outcome === "data" && !this.#write(frame)) return;
      this.#written.push(request);
      this.#writtenBytes += request.lengthBytes;
    }
    this.#flushIfDue();
  }

  /** The application writes here: answers on their way are old. */
  overwrites(offset: number, lengthBytes: number): void {
    if (this.volume.state.role !== "Primary") return;
    supersede(this.#asked, offset, lengthBytes);
  }

  /** A write failed here, and the disk stays: what came before it is not all. */
  lacks(offset: number, lengthBytes: number): void {
    supersede(this.#asked, offset, lengthBytes);
    supersede(this.#written, offset, lengthBytes);
    supersede(this.#flushing, offset, lengthBytes);
  }

  #write(frame: ResyncDataFrame): boolean {
    const { volume } = this;
    volume.flusher.written();
    if (volume.effects.writeData(frame.offset, frame.payload)) return true;
    volume.disk.writeFailed(frame.offset, frame.lengthBytes);
    return false;
  }

  #ask(): void {
    const { volume } = this;
    const askedBytesMax = Math.min(
      requestsMax(volume.config.resync) * BLOCK_BYTES,
      FLIGHT_BYTES_MAX,
    );
    while (this.#budget > 0 && this.#askedBytes < askedBytesMax) {
      const range = this.#nextRange();
      if (range === undefined) return;
      const [offset, lengthBytes] = range;
      const id = ++this.#lastId;
      this.#askedBytes += lengthBytes;
      this.#asked.push({ id, offset, lengthBytes, isSuperseded: false });
      const blocks = Math.ceil(lengthBytes / BLOCK_BYTES);
      this.#budget -= blocks;
      this.#account(blocks);
      volume.effects.send({
        kind: "resyncRequest",
        id,
        offset,
        lengthBytes,
        digest: this.#digestOf(offset, lengthBytes),
      });
    }
  }

  /** The controller counts what is really asked for. */
  #account(blocks: number): void {
    if (this.#controller === undefined) return;
    this.#controller = noteRequested(
      this.#controller,
      blocks * SECTORS_PER_REQUEST,
    );
  }

  /** The next run of marked blocks that are not asked for yet. */
  #nextRange(): [offset: number, lengthBytes: number] | undefined {
    const { bitmap } = this.volume;
    if (bitmap === undefined) return undefined;
    const first = bitmap.next(this.#cursor);
    if (first < 0) return undefined;
    const most = Math.min(
      MIRROR_PAYLOAD_BYTES_MAX / BLOCK_BYTES,
      this.#budget,
      bitmap.blocks - first,
    );
    let count = 1;
    while (count < most && bitmap.has(first + count)) count++;
    this.#cursor = first + count;
    const offset = first * BLOCK_BYTES;
    const end = Math.min(offset + count * BLOCK_BYTES, this.volume.sizeBytes);
    return [offset, end - offset];
  }

  #digestOf(offset: number, lengthBytes: number): Uint8Array {
    if (!this.#usesChecksums) return new Uint8Array(0);
    const here = new Uint8Array(lengthBytes);
    const { effects, config } = this.volume;
    if (!effects.readData(offset, here)) return new Uint8Array(0);
    return effects.digest(config.checksumAlgorithm, here);
  }

  #flushIfDue(): void {
    if (this.#isFlushing || this.#written.length === 0) {
      return this.#finishIfDone();
    }
    const isDue = this.#asked.length === 0 || this.#writtenBytes >= BATCH_BYTES;
    if (!isDue) return;
    const batch = this.#written;
    this.#written = [];
    this.#writtenBytes = 0;
    this.#isFlushing = true;
    this.#flushing = batch;
    const run = this.#run;
    this.volume.flusher.request((stable) => {
      if (run !== this.#run) return; // of an earlier resync
      this.#isFlushing = false;
      if (stable) this.#stable(batch);
    });
  }

  #stable(batch: readonly Request[]): void {
    const { volume } = this;
    for (const { offset, lengthBytes, isSuperseded } of batch) {
      if (!isSuperseded) volume.bitmap?.clear(offset, lengthBytes);
    }
    const last = batch.at(-1);
    if (last !== undefined) {
      volume.effects.send({ kind: "resyncStable", id: last.id });
    }
    this.#flushIfDue();
  }

  #finishIfDone(): void {
    const { volume } = this;
    const { bitmap } = volume;
    const isQuiet = this.#isLed && !this.#isFlushing &&
      this.#asked.length === 0 && this.#written.length === 0;
    if (!isQuiet || bitmap === undefined) return;
    if (volume.state.connection !== "SyncTarget") return;
    if (bitmap.next(this.#cursor) >= 0) return; // more to ask for
    if (bitmap.count === 0) return this.#end();
    if (this.#failed > 0) return this.#endWithFailures();
    this.#cursor = 0; // superseded ranges are asked for again
  }

  /** Order: bitmap, then names, then the word UpToDate (reference §4.3). */
  #end(): void {
    const { volume } = this;
    const source = volume.link.peerGenerations;
    this.#reset();
    this.progress = undefined;
    if (source === undefined || !volume.saveBitmap()) return;
    if (!volume.generations.endSyncTarget(source)) return;
    volume.link.negotiation.isDiscarding = false;
    volume.effects.keepUndo(false);
    volume.change({ connection: "Connected", disk: "UpToDate" });
  }

  #endWithFailures(): void {
    const { volume } = this;
    volume.effects.log(
      "error",
      `The source could not read ${this.#failed} blocks: still Inconsistent`,
    );
    this.#reset();
    this.progress = undefined;
    volume.saveBitmap();
    volume.change({ connection: "Connected" });
  }

  #note(wantKibPerSecond: number): void {
    if (this.progress === undefined) return;
    this.progress = {
      ...this.progress,
      leftBlocks: this.volume.bitmap?.count ?? 0,
      wantKibPerSecond,
      failedBlocks: this.#failed,
    };
  }

  #reset(): void {
    this.#run++;
    this.#isLed = false;
    this.#controller = undefined;
    this.#asked = [];
    this.#askedBytes = 0;
    this.#written = [];
    this.#writtenBytes = 0;
    this.#isFlushing = false;
    this.#flushing = [];
    this.#arrivedSectors = 0;
    this.#budget = 0;
    this.#cursor = 0;
    this.#failed = 0;
  }
}

function supersede(
  requests: readonly Request[],
  offset: number,
  lengthBytes: number,
): void {
  for (const request of requests) {
    const isApart = request.offset >= offset + lengthBytes ||
      offset >= request.offset + request.lengthBytes;
    if (!isApart) request.isSuperseded = true;
  }
}
