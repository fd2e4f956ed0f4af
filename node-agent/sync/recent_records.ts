/**
 * The youngest records of our log, encoded, in memory: what peers that keep up
 * are fed from, without asking the database.
 *
 * A record goes in before it is in the log (peers get it at the same time as the
 * disk) and stays at least until it is stored there. Then it goes when every peer
 * that is fed from here has it: a peer that is linked later gets older records
 * from the log in any case. While one of them lags the oldest go when the limit is
 * reached; what a connected peer has not been sent yet stays longer: out of the
 * log it costs twice.
 *
 * @module
 */

import { MIB } from "@kedge/schema";
import { ClientBodies, type LetGo } from "../client_bodies.ts";

/** Memory for records that are stored already while a peer lags, in bytes. */
const HELD_BYTES_MAX = 16 * MIB;
/** The same while a sender lags, for all senders together. */
const HELD_FOR_SENDERS_BYTES_MAX = 64 * MIB;

/** One record, ready to send. */
export interface RecentRecord {
  /** See `encodeRecord`. */
  readonly encoded: Uint8Array;
  /** The rest of it: bytes that were not copied, and must not change. */
  readonly inline?: Uint8Array | undefined;
  /** Encodes it without its bytes, for a peer that takes fewer. */
  readonly named?: (() => Uint8Array) | undefined;
  /** Whether its answer waits for a flush. */
  readonly durable: boolean;
  /**
   * Sent only once it is stored here: a change that an owner could forget and
   * make again must not be known elsewhere first (docs/replication.md).
   */
  readonly storedFirst?: boolean | undefined;
}

/** Somebody who sends what is held here. */
export interface RecentReader {
  /** The record that is sent next, if it comes from here; 0 otherwise. */
  readonly next: number;
  /** Records up to this one have reached it: they are not sent again. */
  readonly acked: number;
}

/** A record, and the hold on its bytes. */
interface Held {
  readonly record: RecentRecord;
  readonly letGo: LetGo | undefined;
}

/** A window of our present incarnation: contiguous sequences. */
export class RecentRecords {
  #records: (Held | undefined)[] = [];
  #dropped = 0;
  #firstSequence: number;
  #heldBytes = 0;
  #stored: number;
  /** Sequences that must be stored before they are sent, and are not yet. */
  #held: number[] = [];
  readonly #readers = new Set<RecentReader>();
  readonly #bodies: ClientBodies;
  #pushedBytes = 0;

  /**
   * An empty window behind the last stored sequence.
   *
   * @param bodies Memory of the bytes of records.
   */
  constructor(head: number, bodies: ClientBodies = new ClientBodies()) {
    this.#bodies = bodies;
    this.#firstSequence = head + 1;
    this.#stored = head;
  }

  /** Sequence of the oldest record held; one more than the last when empty. */
  get first(): number {
    return this.#firstSequence + this.#dropped;
  }

  /** Sequence of the youngest record. */
  get last(): number {
    return this.#firstSequence + this.#records.length - 1;
  }

  /** Up to here the log holds our records. */
  get storedUpTo(): number {
    return this.#stored;
  }

  /** Up to here records may be sent. */
  get sendable(): number {
    const [held] = this.#held;
    return held === undefined ? this.last : held - 1;
  }

  /** Memory held, in bytes. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Bytes to send of all records that ever came, for differences. */
  get pushedBytes(): number {
    return this.#pushedBytes;
  }

  /** Keep what it has not sent, up to a limit, until it is let go. */
  follow(reader: RecentReader): void {
    this.#readers.add(reader);
  }

  /** It sends no more. */
  letGo(reader: RecentReader): void {
    this.#readers.delete(reader);
    this.#evict();
  }

  /** A reader has sent some more, or what it sent has arrived. */
  moved(): void {
    this.#evict();
  }

  /**
   * Add the next record.
   *
   * @throws {RangeError} When `sequence` is not the next one.
   */
  push(sequence: number, record: RecentRecord): void {
    if (sequence !== this.last + 1) {
      throw new RangeError(
        `Cannot hold record ${sequence}: the next one is ${this.last + 1}`,
      );
    }
    this.#records.push({ record, letGo: this.#hold(record) });
    if (record.storedFirst === true) this.#held.push(sequence);
    this.#heldBytes += memoryOf(record);
    this.#pushedBytes += record.encoded.length + (record.inline?.length ?? 0);
    this.#evict();
  }

  /** A record that is still held. */
  get(sequence: number): RecentRecord | undefined {
    return this.#records[sequence - this.#firstSequence]?.record;
  }

  /**
   * Somebody reads the bytes of these records, held or not, until he lets go.
   *
   * @param first Sequence of the first, like `last` of the last.
   */
  hold(first: number, last: number): LetGo {
    const all: (LetGo | undefined)[] = [];
    for (let sequence = first; sequence <= last; sequence++) {
      const record = this.get(sequence);
      if (record !== undefined) all.push(this.#hold(record));
    }
    return () => all.forEach((letGo) => letGo?.());
  }

  #hold({ inline }: RecentRecord): LetGo | undefined {
    return inline && this.#bodies.hold(inline);
  }

  /** The log holds everything up to here: those may go. */
  stored(sequence: number): void {
    this.#stored = Math.max(this.#stored, sequence);
    while ((this.#held[0] ?? Infinity) <= this.#stored) this.#held.shift();
    this.#evict();
  }

  /** Whether somebody sends the oldest record next. */
  #isWanted(): boolean {
    for (const { next } of this.#readers) if (next === this.first) return true;
    return false;
  }

  /** Whether the oldest record goes, once it is stored. */
  #isOver(): boolean {
    if (this.#heldBytes > HELD_FOR_SENDERS_BYTES_MAX) return true;
    if (this.#heldBytes > HELD_BYTES_MAX && !this.#isWanted()) return true;
    for (const { acked } of this.#readers) if (acked < this.first) return false;
    return true;
  }

  #evict(): void {
    while (this.first <= this.#stored && this.#isOver()) {
      const oldest = this.#records[this.#dropped];
      this.#records[this.#dropped++] = undefined;
      this.#heldBytes -= oldest === undefined ? 0 : memoryOf(oldest.record);
      oldest?.letGo?.();
    }
    // Give the room back once half of it is empty: amortised O(1).
    if (this.#dropped > 64 && this.#dropped * 2 > this.#records.length) {
      this.#records = this.#records.slice(this.#dropped);
      this.#firstSequence += this.#dropped;
      this.#dropped = 0;
    }
  }
}

/** Memory of a record, in bytes: that of its bytes may be longer than they. */
function memoryOf({ encoded, inline }: RecentRecord): number {
  return encoded.length + (inline?.buffer.byteLength ?? 0);
}
