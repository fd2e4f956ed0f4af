/**
 * Sends our log to one peer over one connection: old runs first, then the
 * present one, and from then on every record as it is made.
 *
 * Records come from memory (`recent_records.ts`) or, for a peer that is behind,
 * from the change log. At most {@linkcode WINDOW_BYTES_MAX} are under way: that
 * bounds the peer's memory. While a write is under way records gather, so a busy
 * link sends few large frames.
 *
 * @module
 */

import { MIB, RECORD_BODY_BYTES_MAX, type SyncPosition } from "@kedge/schema";
import { type AckBody, encodeRecordsHead } from "@kedge/schema/wire/records";
import type { ChangeLog, LogPlace } from "../ports.ts";
import {
  comparePlaces,
  type Incarnation,
  type PeerStanding,
  peerStanding,
  runAfter,
  sendFrom,
} from "./positions_core.ts";
import { PeerHoldings } from "./peer_holdings.ts";
import type { FrameLink } from "./frame_link.ts";
import { encodeFromLog, framesOf, partsFor } from "./log_encoding.ts";
import type { RecentRecords } from "./recent_records.ts";

/** Most bytes that were sent and are not acknowledged yet. */
export const WINDOW_BYTES_MAX: number = 8 * MIB;
/** A frame is closed when its records reach this size, in bytes. */
const FRAME_FULL_BYTES = 256 * 1024;
/** Records wait for one another while this many bytes wait to be written. */
const BUSY_BYTES = 32 * 1024;

/**
 * How long records that nobody waits for gather, in milliseconds: each frame
 * costs both nodes as much as several records do. It is what level A adds to the
 * lag of a peer, and what FastDFS waits (`sync_wait_msec`).
 */
const GATHER_MS = 50;
/** They leave at once when they reach this size, in bytes. */
const GATHER_BYTES_MAX = 512 * 1024;

/** What a sender works with. */
export interface LogSenderOptions {
  readonly link: FrameLink;
  readonly log: ChangeLog;
  readonly recent: RecentRecords;
  /** What the peer has of our log: one position per run. */
  readonly positions: readonly SyncPosition[];
  /** Where our log begins, as the peer was told over this link. */
  readonly toldCut?: LogPlace | undefined;
  /** Most bytes that the peer takes within a record. */
  readonly recordBytesMax: number;
  /** Epoch of the register that the peer was told last. */
  epoch(): number;
  /** Resolves when so much catching up may be sent (limits and hours). */
  pace(bytes: number, files: number): Promise<void>;
}

/** A run of records with the durability that their answers wait for. */
interface Outgoing {
  readonly incarnation: number;
  readonly lastSequence: number;
  readonly bytes: number;
}

/** See the module comment. */
export class LogSender {
  readonly #options: LogSenderOptions;
  readonly #earlier: readonly Incarnation[];
  readonly #peer: PeerHoldings;
  /**
   * Records after this one come from memory. Older ones come from the log, which
   * knows what has become of their files since: this peer may be new or wiped,
   * and the tombstone forgotten.
   */
  readonly #memoryFrom: number;
  #sent: LogPlace;
  #underWay: Outgoing[] = [];
  #underWayBytes = 0;
  #isReading = false;
  #isScheduled = false;
  #notBelowEpoch = 0;
  #isStarted = false;
  /** Whether to send what is new; until all of it is sent. */
  #isUrgent = false;
  #gathering: ReturnType<typeof setTimeout> | undefined;
  /** Of `RecentRecords.pushedBytes`: nothing before is still to be sent. */
  #sentUpToBytes = 0;

  /** A sender that sends nothing before {@linkcode start}. */
  constructor(options: LogSenderOptions) {
    // A peer may take more than fits our frames: a newer one, say.
    const max = Math.min(options.recordBytesMax, RECORD_BODY_BYTES_MAX);
    this.#options = { ...options, recordBytesMax: max };
    const { log, positions, recent } = options;
    this.#memoryFrom = recent.storedUpTo;
    // They do not grow any more, and asking for them costs queries.
    this.#earlier = log.incarnations().filter((run) =>
      run.incarnation < log.incarnation
    );
    this.#peer = new PeerHoldings(log.node, positions);
    this.#sent = this.#from();
    options.link.onDrained = () => this.#sendNow();
    recent.follow(this);
  }

  /** What the peer holds of our log, as the core wants to know it. */
  get standing(): PeerStanding & { readonly durable: number } {
    const { log } = this.#options;
    const { incarnation } = log;
    const runs = this.#runs();
    const cut = log.cut();
    // Earlier runs count once they are flushed there.
    const { lacksEarlier } = peerStanding(runs, this.flushed, cut);
    return {
      ...peerStanding(runs, this.#peer.heldPlaces, cut),
      lacksEarlier,
      durable: this.#peer.flushed(incarnation),
    };
  }

  /** Changes of all runs that the peer has not acknowledged. */
  get lagChanges(): number {
    return this.#runs().reduce(
      (sum, { incarnation, lastSequence }) =>
        sum + Math.max(0, lastSequence - this.#peer.held(incarnation)),
      0,
    );
  }

  /** What the peer has flushed of our log. */
  get flushed(): readonly LogPlace[] {
    return this.#peer.flushedPlaces;
  }

  /** Bytes that were sent and are not acknowledged. */
  get underWayBytes(): number {
    return this.#underWayBytes;
  }

  /** Send what the peer lacks, and everything new from now on. */
  start(): void {
    this.#isStarted = true;
    this.poke();
  }

  /** The connection is gone: keep nothing for it. */
  stop(): void {
    clearTimeout(this.#gathering);
    this.#options.recent.letGo(this);
  }

  /** See `RecentReader`. */
  get next(): number {
    const { incarnation, sequence } = this.#sent;
    const isFromMemory = this.#isStarted && sequence >= this.#memoryFrom &&
      incarnation === this.#options.log.incarnation;
    return isFromMemory ? sequence + 1 : 0;
  }

  /** See `RecentReader`. */
  get acked(): number {
    return this.#peer.held(this.#options.log.incarnation);
  }

  /** There is something to send. Gathers what comes in the same turn. */
  poke(): void {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    this.#isUrgent = true;
    this.#goOn();
  }

  /** There is something to send that nobody waits for. */
  pokeSoon(): void {
    if (this.#isUrgent) return this.#goOn();
    const bytes = this.#options.recent.pushedBytes - this.#sentUpToBytes;
    if (bytes >= GATHER_BYTES_MAX) return this.poke();
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      this.poke();
    }, GATHER_MS);
  }

  /** There may be more to send, or room for it. */
  #goOn(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#sendNow();
    });
  }

  /**
   * The peer has stored records.
   *
   * @returns Whether that can be: it acknowledges nothing we have not sent.
   */
  onAck(ack: AckBody): boolean {
    const place = { incarnation: ack.incarnation, sequence: ack.written };
    const { incarnation } = place;
    const { toldCut } = this.#options;
    const isSkipped = toldCut !== undefined &&
      comparePlaces(place, toldCut) <= 0;
    const isOurs = this.#runs().some((run) => run.incarnation === incarnation);
    const isSent = isOurs && comparePlaces(place, this.#sent) <= 0;
    if (!isSent && !isSkipped) return false;
    const wasBehind = this.#isBehindCut();
    this.#peer.hold(place);
    if (ack.durable > 0) {
      const flushed = { incarnation, sequence: ack.durable };
      this.#peer.flush(flushed, this.#earlier);
    }
    if (wasBehind) this.#sent = this.#from();
    let done = 0;
    for (const out of this.#underWay) {
      const end = { incarnation: out.incarnation, sequence: out.lastSequence };
      if (comparePlaces(end, place) > 0) break;
      this.#underWayBytes -= out.bytes;
      done++;
    }
    if (done > 0) this.#underWay.splice(0, done);
    this.#options.recent.moved();
    this.#goOn();
    return true;
  }

  /** The peer refused records: go back, and on once we have its epoch. */
  onReject(epoch: number): void {
    this.#notBelowEpoch = epoch;
    this.#sent = this.#from();
    this.#underWay = [];
    this.#underWayBytes = 0;
    this.poke();
  }

  #sendNow(): void {
    const { link } = this.#options;
    if (!this.#isStarted || !this.#isUrgent || this.#isPaused()) return;
    if (this.#isBehindCut()) return this.#waitForCompare();
    while (
      link.closedWhy === undefined && !this.#isReading &&
      link.queuedBytes < BUSY_BYTES && this.#underWayBytes < WINDOW_BYTES_MAX
    ) {
      if (this.#sent.incarnation !== this.#options.log.incarnation) {
        this.#sent = this.#nextPlace();
      }
      if (this.#isCaughtUp()) {
        this.#isUrgent = false;
        this.#sentUpToBytes = this.#options.recent.pushedBytes;
        return;
      }
      if (!this.#sendRecent()) {
        this.#isReading = true;
        void this.#sendFromLog();
      }
    }
  }

  /** The first place where the peer lacks something, or our end. */
  #from(): LogPlace {
    const { incarnation } = this.#options.log;
    return sendFrom(this.#runs(), this.#peer.heldPlaces) ??
      { incarnation, sequence: this.#peer.held(incarnation) };
  }

  /** Where to read on: the end of a run is the start of the next one. */
  #nextPlace(): LogPlace {
    const present = this.#options.log.incarnation;
    const incarnation = runAfter(this.#runs(), this.#sent, present);
    if (incarnation === this.#sent.incarnation) return this.#sent;
    return { incarnation, sequence: this.#peer.held(incarnation) };
  }

  /** Our runs, oldest first; the present one with what was given out. */
  #runs(): Incarnation[] {
    const { log, recent } = this.#options;
    const { incarnation } = log;
    return [...this.#earlier, { incarnation, lastSequence: recent.last }];
  }

  /** The next record is forgotten: the peer compares, and tells when it has. */
  #isBehindCut(): boolean {
    const cut = this.#options.log.cut();
    return cut !== undefined &&
      this.#peer.held(cut.incarnation) < cut.sequence;
  }

  /** A peer that was told of another cut learns of this over a new link. */
  #waitForCompare(): void {
    const { link, log, toldCut } = this.#options;
    const cut = log.cut();
    const isTold = cut !== undefined && toldCut !== undefined &&
      comparePlaces(cut, toldCut) === 0;
    if (!isTold) link.close("what it lacks of our log is forgotten");
  }

  #isPaused(): boolean {
    return this.#options.epoch() < this.#notBelowEpoch;
  }

  #isCaughtUp(): boolean {
    const { log, recent } = this.#options;
    return this.#sent.incarnation === log.incarnation &&
      this.#sent.sequence >= recent.sendable;
  }

  /** Send one frame from memory, if the next record is there. */
  #sendRecent(): boolean {
    const { link, recent, recordBytesMax } = this.#options;
    const first = this.next;
    if (first < recent.first) return false;
    const encoded: Uint8Array[] = [];
    let [bytes, last] = [0, first - 1];
    let durable = false;
    while (bytes < FRAME_FULL_BYTES && last < recent.sendable) {
      const record = recent.get(last + 1);
      if (record === undefined) break;
      for (const part of partsFor(record, recordBytesMax)) {
        encoded.push(part);
        bytes += part.length;
      }
      durable ||= record.durable;
      last++;
    }
    const place = { ...this.#sent, sequence: last };
    this.#send(place, encoded, { first, bytes, durable });
    link.whenWritten(recent.hold(first, last));
    recent.moved();
    return true;
  }

  async #sendFromLog(): Promise<void> {
    const { link, log, pace, recordBytesMax } = this.#options;
    try {
      const next = this.#sent;
      const records = await log.recordsAfter(next.incarnation, next.sequence, {
        records: 512,
        bytes: FRAME_FULL_BYTES,
        recordBytes: recordBytesMax,
      });
      if (records.length === 0) {
        throw new Error(
          `the log has no record after ${next.incarnation}/${next.sequence}`,
        );
      }
      const encoded = records.map((record) =>
        encodeFromLog(record, recordBytesMax)
      );
      const bytes = encoded.reduce((sum, one) => sum + one.length, 0);
      await pace(bytes, records.length);
      // A reject may have moved us while we read: then this is not next any more.
      const isStill = comparePlaces(this.#sent, next) === 0;
      if (isStill && !this.#isPaused()) this.#sendParts(next, encoded);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      link.close(`cannot read our own log: ${why}`);
    }
    this.#isReading = false;
    this.poke();
  }

  #sendParts({ incarnation, sequence }: LogPlace, encoded: Uint8Array[]): void {
    for (const { parts, bytes } of framesOf(encoded, FRAME_FULL_BYTES)) {
      const first = sequence + 1;
      sequence += parts.length;
      const place = { incarnation, sequence };
      this.#send(place, parts, { first, bytes, durable: false });
    }
  }

  #send(
    to: LogPlace,
    encoded: readonly Uint8Array[],
    { first, bytes, durable }: {
      readonly first: number;
      readonly bytes: number;
      readonly durable: boolean;
    },
  ): void {
    const { link, epoch } = this.#options;
    link.send({
      kind: "records",
      epoch: epoch(),
      durable,
      parts: [encodeRecordsHead(to.incarnation, first), ...encoded],
    });
    this.#sent = to;
    this.#underWay.push({
      incarnation: to.incarnation,
      lastSequence: to.sequence,
      bytes,
    });
    this.#underWayBytes += bytes;
  }
}
