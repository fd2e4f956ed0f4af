/**
 * The source of a resync: answers the target's requests in their order.
 *
 * A block is read and sent in one turn, and writes go down the same stream, so
 * an answer never overtakes a later write (promises.md finding 7). Bits are
 * cleared only when the target says that the blocks are **stable** on its disk.
 * Little is queued at a time, so that the application's writes do not wait
 * behind the resync.
 *
 * Source: DRBD 8.4, reference §4.7; promises.md B10.
 *
 * @module
 */

import {
  MIRROR_PAYLOAD_BYTES_MAX,
  type ResyncRequestFrame,
} from "@kedge/schema/wire/mirror";
import type { MirrorState } from "../decisions/mirror_state.ts";
import { BLOCK_BYTES } from "./bitmap_core.ts";
import type { VolumeCore } from "./volume_core.ts";

/**
 * Answers wait while more than this is queued to the peer, in bytes: such a batch
 * fits into the cache of a processor, and wakes the target once.
 */
export const RESYNC_QUEUE_BYTES_MAX = 768 * 1024;

/** Requests that may wait; the target asks for less (max-buffers). */
const REQUESTS_MAX = 65_536;

interface Answered {
  readonly id: number;
  readonly offset: number;
  readonly lengthBytes: number;
}

/** See the module comment. */
export class ResyncSource {
  #requests: ResyncRequestFrame[] = [];
  #answered: Answered[] = [];
  #answeredBlocks = 0;
  /** Never begun anew on a connection, as the target's numbers. */
  #lastId = 0;
  /** For every answer: what is sent is copied at once. */
  readonly #payload = new Uint8Array(MIRROR_PAYLOAD_BYTES_MAX);
  /** What we had before the resync is stable on our own disk. */
  #isStable = false;
  #stableId = 0;
  /** Writes that failed here, and that the target has. */
  #lacking: { readonly offset: number; readonly lengthBytes: number }[] = [];
  /** What the target said at its end, until we are stable, too. */
  #ended: Partial<MirrorState> | undefined;
  /** Everything that is out of sync has been sent, or is about to be. */
  #isSent = false;
  /** Counts resyncs. */
  #run = 0;
  /** A good peer was offered one, and has not said that it is a target. */
  #isOffered = false;

  constructor(readonly volume: VolumeCore) {}

  /**
   * The target ends by itself and may be good, and Primary, before we hear of
   * it: should we crash now, we must not come back believing that it is behind.
   */
  get mayBeOver(): boolean {
    const { connection } = this.volume.state;
    return this.#isSent &&
      (connection === "SyncSource" || connection === "PausedSyncS");
  }

  /** With a fencing policy: a peer as good as we are is to become a target. */
  offered(): void {
    const { config, state } = this.volume;
    this.#isOffered = config.fencing !== "dont-care" &&
      state.peerDisk === "UpToDate";
  }

  /**
   * Who loses the connection to us now is as good as before: it may be promoted
   * and must be fenced, and lacks what we write meanwhile.
   */
  get isPeerGood(): boolean {
    const { connection } = this.volume.state;
    return this.#isOffered &&
      (connection === "StartingSyncS" || connection === "WFBitMapS");
  }

  /** Where the peer is fenced before we answer alone, new writes wait for that. */
  get isHolding(): boolean {
    return this.isPeerGood &&
      this.volume.config.fencing === "resource-and-stonith";
  }

  /** The target is durably Inconsistent: from now on writes are replicated. */
  begin(told: Partial<MirrorState>): void {
    this.stop();
    this.#isOffered = false;
    this.#isSent = this.volume.bitmap?.count === 0;
    this.volume.generations.shared();
    this.#stabilise();
    this.volume.change({
      ...told,
      connection: "SyncSource",
      peerDisk: "Inconsistent",
    });
  }

  /** The resync is over, or the link is down. */
  stop(): void {
    this.#run++;
    this.#markLacking();
    this.#isStable = false;
    this.#stableId = 0;
    this.#ended = undefined;
    this.#requests = [];
    this.#answered = [];
    this.#answeredBlocks = 0;
  }

  /** A new connection: numbers begin anew. */
  linkReady(): void {
    this.#lastId = 0;
    this.#isOffered = false;
  }

  /**
   * A write failed here, our disk stays the good one, and the target has that
   * write: what it is to have instead is settled on a new connection.
   */
  lacks(offset: number, lengthBytes: number): void {
    if (this.volume.replicates()) this.#lacking.push({ offset, lengthBytes });
  }

  /** The target asks for a range. */
  requested(frame: ResyncRequestFrame): void {
    const { volume } = this;
    const { connection } = volume.state;
    const isSource = connection === "SyncSource" ||
      connection === "PausedSyncS";
    if (!isSource) return; // the resync was aborted meanwhile
    if (frame.id <= this.#lastId || this.#requests.length > REQUESTS_MAX) {
      return volume.link.protocolError("resync requests out of order");
    }
    this.#lastId = frame.id;
    // It may wait, and the link uses the bytes of a frame again.
    this.#requests.push({ ...frame, digest: frame.digest.slice() });
    this.settle();
  }

  /** Answer as much as the network takes. */
  settle(): void {
    if (this.#lacking.length > 0) return this.#partOver();
    const { effects } = this.volume;
    let count = 0;
    while (
      count < this.#requests.length &&
      effects.queuedBytes() < RESYNC_QUEUE_BYTES_MAX
    ) {
      this.#answer(this.#requests[count] as ResyncRequestFrame);
      count++;
    }
    if (count > 0) this.#requests.splice(0, count);
  }

  /** The target has these on its disk for good. */
  stableUpTo(id: number): void {
    this.#stableId = id;
    if (this.#isStable) this.#clear();
  }

  /**
   * A block is in sync when it is stable on **both** disks. Ours may hold
   * writes of an earlier Primary that were never flushed.
   */
  #stabilise(): void {
    const run = this.#run;
    this.volume.flusher.request((stable) => {
      if (run !== this.#run || !stable) return;
      this.#isStable = true;
      this.#clear();
      if (this.#ended !== undefined) this.peerEnded(this.#ended);
    });
  }

  #partOver(): void {
    const { volume } = this;
    this.#markLacking();
    if (!volume.saveBitmap()) return;
    volume.link.giveUp("A write failed here while the peer is being copied to");
  }

  /** Again, since an acknowledgement may have come in between. */
  #markLacking(): void {
    for (const { offset, lengthBytes } of this.#lacking) {
      this.volume.bitmap?.set(offset, lengthBytes);
    }
    this.#lacking = [];
  }

  #clear(): void {
    let count = 0;
    for (const each of this.#answered) {
      if (each.id > this.#stableId) break;
      this.volume.bitmap?.clear(each.offset, each.lengthBytes);
      this.#answeredBlocks -= Math.ceil(each.lengthBytes / BLOCK_BYTES);
      count++;
    }
    this.#answered.splice(0, count);
  }

  /** The target is no longer a target. */
  peerEnded(told: Partial<MirrorState>): void {
    const { volume } = this;
    if (this.#lacking.length > 0) return this.#partOver();
    const isWhole = told.peerDisk === "UpToDate";
    if (isWhole && !this.#isStable) {
      this.#ended = told;
      return;
    }
    if (isWhole && volume.bitmap?.count !== 0) {
      const why = "the resync ended with blocks that are still out of sync";
      return volume.link.protocolError(why);
    }
    this.stop();
    if (isWhole) {
      if (!volume.saveBitmap()) return;
      if (!volume.generations.endSyncSource()) return;
      // What is answered from now on the peer has, too: it needs no other name.
      volume.generations.nobodyMisses();
    }
    volume.change({ ...told, connection: "Connected" });
    if (isWhole) volume.fence.peerEqual();
  }

  /** False: what it means could not be saved, and our disk is gone. */
  #noteSent(): boolean {
    const { bitmap, generations } = this.volume;
    const hasMore = this.#answeredBlocks < (bitmap?.count ?? 0);
    if (this.#isSent || hasMore) return true;
    this.#isSent = true;
    return generations.saveFlags();
  }

  #answer(request: ResyncRequestFrame): void {
    const { volume } = this;
    const { id, offset, lengthBytes, digest } = request;
    const payload = volume.effects.payloadRoom?.(lengthBytes) ??
      this.#payload.subarray(0, lengthBytes);
    const base = { kind: "resyncData", id, offset, lengthBytes } as const;
    const nothing = new Uint8Array(0);
    if (!volume.effects.readData(offset, payload)) {
      volume.disk.readFailed(offset, lengthBytes);
      volume.effects.send({ ...base, payload: nothing, outcome: "failed" });
      return;
    }
    this.#answered.push({ id, offset, lengthBytes });
    this.#answeredBlocks += Math.ceil(lengthBytes / BLOCK_BYTES);
    if (!this.#noteSent()) return;
    const isSame = digest.length > 0 && equalBytes(
      digest,
      volume.effects.digest(volume.config.checksumAlgorithm, payload),
    );
    volume.effects.send(
      isSame
        ? { ...base, payload: nothing, outcome: "same" }
        : { ...base, payload, outcome: "data" },
    );
  }
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
