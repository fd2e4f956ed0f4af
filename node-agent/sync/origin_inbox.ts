/**
 * The log of one peer as it arrives: checked for gaps, applied in order,
 * acknowledged by position.
 *
 * Batches that come while others are being applied are applied together, in one
 * transaction. What was applied without a flush is flushed within
 * `FLUSH_DELAY_MS`. An error of the store empties the inbox: nothing after a
 * record that failed is applied, the position stays, and the peer sends again
 * over a new connection.
 *
 * @module
 */

import type { FileEntry } from "@kedge/schema/change";
import { FLUSH_DELAY_MS, MIB, type NodeId } from "@kedge/schema";
import type {
  AckBody,
  RecordsBody,
  WireRecord,
} from "@kedge/schema/wire/records";
import type { ChangeLog, LogRecordWithContent } from "../ports.ts";
import { comparePlaces, type LogPlace } from "./log_sender.ts";

/** Most bytes that wait; a peer that keeps its window stays below. */
const WAITING_BYTES_MAX = 24 * MIB;
/** Most bytes of inline content in one transaction. */
const APPLY_BYTES_MAX = 4 * MIB;

/** A frame of records that waits. */
interface Batch {
  readonly batch: number;
  readonly incarnation: number;
  readonly firstSequence: number;
  readonly records: readonly WireRecord[];
  readonly durable: boolean;
  readonly bytes: number;
}

/** What an inbox works with. */
export interface OriginInboxOptions {
  readonly origin: NodeId;
  readonly log: ChangeLog;
  /** How far its log is applied here. */
  readonly from: LogPlace;
  /** Get the bytes of a record ready; may ask the peer for them. */
  content(record: WireRecord): Promise<LogRecordWithContent["content"]>;
  /** Get the bytes of states that were stored without; from the peer. */
  missing(entries: readonly FileEntry[]): Promise<void>;
  /** A batch and all before it are stored. */
  applied(batch: number): void;
  /** More is flushed than was acknowledged. */
  flushed(): void;
  /** The store or the peer failed; everything that waited is gone. */
  failed(error: unknown): void;
}

/** What is to be done with a frame of records. */
export type Arrival =
  | { readonly kind: "taken"; readonly body: RecordsBody }
  | { readonly kind: "rejected-before" }
  | { readonly kind: "fault"; readonly fault: string };

/** See the module comment. */
export class OriginInbox {
  readonly #options: OriginInboxOptions;
  /** Up to here frames have come; some may be refused yet. */
  #arrived: LogPlace;
  /** Up to here frames were accepted and will be applied. */
  #accepted: LogPlace;
  #applied: LogPlace;
  #flushed: LogPlace;
  #queue: Batch[] = [];
  #waitingBytes = 0;
  #isApplying = false;
  #isRejecting = false;
  #flushTimer: ReturnType<typeof setTimeout> | undefined;

  /** An inbox behind what is applied, and flushed, already. */
  constructor(options: OriginInboxOptions) {
    this.#options = options;
    this.#arrived = this.#accepted = options.from;
    this.#applied = this.#flushed = options.from;
  }

  /** How far the origin's log is applied. */
  get applied(): LogPlace {
    return this.#applied;
  }

  /** Bytes that arrived and are not applied. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** What to acknowledge now. */
  ack(): AckBody {
    const { incarnation, sequence } = this.#applied;
    const isFlushed = this.#flushed.incarnation === incarnation;
    return {
      incarnation,
      written: sequence,
      durable: isFlushed ? this.#flushed.sequence : 0,
    };
  }

  /**
   * Look at a frame that came: no gaps, nothing twice.
   *
   * @returns The records that are new, possibly none; or why it is refused.
   */
  arrive(body: RecordsBody): Arrival {
    const { incarnation, firstSequence, records } = body;
    const { sequence } = this.#arrived;
    const isSame = incarnation === this.#arrived.incarnation;
    if (incarnation < this.#arrived.incarnation) {
      return fault(
        `run ${incarnation} is over, we are at ${place(this.#arrived)}`,
      );
    }
    const expected = isSame ? sequence + 1 : 1;
    if (firstSequence > expected) {
      // What follows a rejected frame is a gap by nature.
      if (this.#isRejecting) return { kind: "rejected-before" };
      return fault(
        `record ${incarnation}/${firstSequence} came, expected ${expected}`,
      );
    }
    this.#isRejecting = false;
    const last = firstSequence + records.length - 1;
    this.#arrived = later(this.#arrived, { incarnation, sequence: last });
    const known = Math.min(expected - firstSequence, records.length);
    return {
      kind: "taken",
      body: {
        incarnation,
        firstSequence: firstSequence + known,
        records: records.slice(known),
      },
    };
  }

  /**
   * Apply a frame that {@linkcode arrive} has taken. One that follows a rejected
   * frame is left out: it will come again.
   *
   * @returns `false` when the peer sent more than its window.
   */
  apply(
    batch: number,
    body: RecordsBody,
    { durable, bytes }: { readonly durable: boolean; readonly bytes: number },
  ): boolean {
    if (this.#waitingBytes + bytes > WAITING_BYTES_MAX) return false;
    const fresh = this.#notAccepted(body);
    if (fresh === undefined) return true;
    this.#queue.push({ ...fresh, batch, durable, bytes });
    this.#waitingBytes += bytes;
    const sequence = fresh.firstSequence + fresh.records.length - 1;
    const end = { incarnation: fresh.incarnation, sequence };
    this.#accepted = later(this.#accepted, end);
    this.#arrived = later(this.#arrived, end);
    if (!this.#isApplying) void this.#applyAll();
    return true;
  }

  /** A frame was refused because of its epoch: it will come again. */
  reject(): void {
    this.#isRejecting = true;
    this.#arrived = this.#accepted;
  }

  /** The connection is gone: what was not accepted will come again. */
  unlinked(): void {
    this.#isRejecting = false;
    this.#arrived = this.#accepted;
  }

  /** Stop the timer. */
  close(): void {
    clearTimeout(this.#flushTimer);
  }

  /** The part of a frame that follows what was accepted. */
  #notAccepted(body: RecordsBody): RecordsBody | undefined {
    const { incarnation, sequence } = this.#accepted;
    if (body.incarnation < incarnation) return undefined;
    const next = body.incarnation === incarnation ? sequence + 1 : 1;
    if (body.firstSequence > next) return undefined;
    const known = Math.min(next - body.firstSequence, body.records.length);
    return {
      incarnation: body.incarnation,
      firstSequence: body.firstSequence + known,
      records: body.records.slice(known),
    };
  }

  async #applyAll(): Promise<void> {
    this.#isApplying = true;
    try {
      while (this.#queue.length > 0) await this.#applySome();
    } catch (error) {
      this.#queue = [];
      this.#waitingBytes = 0;
      this.#arrived = this.#accepted = this.#applied;
      this.#options.failed(error);
    }
    this.#isApplying = false;
  }

  async #applySome(): Promise<void> {
    const batches = this.#takeBatches();
    const incarnation = batches[0]?.incarnation ?? 0;
    const durable = batches.some((batch) => batch.durable);
    let group: LogRecordWithContent[] = [];
    const ids = new Set<string>();
    for (const { sequence, record } of numbered(batches)) {
      const { id } = record.change.entry;
      if (ids.has(id) && record.change.body.kind !== "whole") {
        // It is made from a state that must be stored before.
        await this.#applyGroup(incarnation, group, durable);
        group = [];
        ids.clear();
      }
      ids.add(id);
      const content = await this.#contentOf(record);
      group.push({ sequence, change: record.change, content });
    }
    await this.#applyGroup(incarnation, group, durable);
    for (const batch of batches) {
      this.#waitingBytes -= batch.bytes;
      this.#options.applied(batch.batch);
    }
  }

  async #applyGroup(
    incarnation: number,
    group: readonly LogRecordWithContent[],
    durable: boolean,
  ): Promise<void> {
    const { origin, log, missing } = this.#options;
    const last = group.at(-1);
    if (last === undefined) return;
    const results = await log.apply(origin, incarnation, group, durable);
    const lacking = group.filter((_, at) => results[at] === "needs-content");
    if (lacking.length > 0) {
      await missing(lacking.map((record) => record.change.entry));
      if (durable) await log.flush();
    }
    this.#applied = { incarnation, sequence: last.sequence };
    if (durable) this.#flushed = this.#applied;
    else this.#flushSoon();
  }

  #contentOf(
    record: WireRecord,
  ):
    | LogRecordWithContent["content"]
    | Promise<LogRecordWithContent["content"]> {
    const { change, content } = record;
    if (change.entry.state === "tombstone") return { kind: "none" };
    if (content.kind === "inline" && change.body.kind === "whole") {
      return { kind: "inline", bytes: record.inline };
    }
    return this.#options.content(record);
  }

  /** The oldest batches of one run, up to a size. */
  #takeBatches(): Batch[] {
    const first = this.#queue[0];
    let bytes = 0;
    let count = 0;
    for (const batch of this.#queue) {
      if (batch.incarnation !== first?.incarnation) break;
      if (count > 0 && bytes + batch.bytes > APPLY_BYTES_MAX) break;
      bytes += batch.bytes;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  #flushSoon(): void {
    this.#flushTimer ??= setTimeout(() => {
      this.#flushTimer = undefined;
      void this.#flush();
    }, FLUSH_DELAY_MS);
  }

  async #flush(): Promise<void> {
    const upTo = this.#applied;
    try {
      await this.#options.log.flush();
      if (comparePlaces(upTo, this.#flushed) <= 0) return;
      this.#flushed = upTo;
      this.#options.flushed();
    } catch (error) {
      this.#options.failed(error);
    }
  }
}

function* numbered(
  batches: readonly Batch[],
): Generator<{ sequence: number; record: WireRecord }> {
  for (const { firstSequence, records } of batches) {
    let sequence = firstSequence;
    for (const record of records) yield { sequence: sequence++, record };
  }
}

function later(a: LogPlace, b: LogPlace): LogPlace {
  return comparePlaces(a, b) >= 0 ? a : b;
}

function place({ incarnation, sequence }: LogPlace): string {
  return `${incarnation}/${sequence}`;
}

function fault(fault: string): Arrival {
  return { kind: "fault", fault };
}
