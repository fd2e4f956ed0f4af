/**
 * The log of one peer as it arrives: checked for gaps, applied in order,
 * acknowledged by position.
 *
 * Batches that come while others are being applied are applied together, in one
 * transaction. The store flushes what was applied without a flush on its own, as
 * it does everything; the inbox asks for that only to tell the origin, and not
 * while more keeps coming. An error of the store empties the inbox: nothing
 * after a record that failed is applied, the position stays, and the peer sends
 * again over a new connection.
 *
 * @module
 */

import type { FileEntry } from "@kedge/schema/change";
import { MIB, type NodeId } from "@kedge/schema";
import type {
  AckBody,
  RecordsBody,
  WireRecord,
} from "@kedge/schema/wire/records";
import type { ChangeLog, LogPlace, LogRecordWithContent } from "../ports.ts";
import { FlushTeller } from "./flush_teller.ts";

/** Most bytes that wait; a peer that keeps its window stays below. */
const WAITING_BYTES_MAX = 24 * MIB;
/** Most runs of one origin's log: one more with every unclean stop. */
const RUNS_MAX = 4000;
/** Most bytes of inline content in one transaction. */
const APPLY_BYTES_MAX = 4 * MIB;

/** The memory of shorter frames is left to the collector, in bytes. */
const FREED_BYTES_MIN = 8 * 1024;

/** A frame of records that waits. */
interface Batch {
  readonly batch: number;
  readonly incarnation: number;
  readonly firstSequence: number;
  readonly records: readonly WireRecord[];
  readonly durable: boolean;
  readonly bytes: number;
  readonly memory: ArrayBuffer | undefined;
}

/** What an inbox works with. */
export interface OriginInboxOptions {
  readonly origin: NodeId;
  readonly log: ChangeLog;
  /** Get the bytes of a record ready; may ask the peer for them. */
  content(record: WireRecord): Promise<LogRecordWithContent["content"]>;
  /** Get the bytes of states that were stored without; from the peer. */
  missing(entries: readonly FileEntry[]): Promise<void>;
  /** A batch and all before it are stored. */
  applied(batch: number): void;
  /** More is flushed than was acknowledged. */
  flushed(): void;
  /** Nobody uses the memory of a frame any more. */
  free(memory: ArrayBuffer): void;
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
  /** Per run: up to here frames have come; some may be refused yet. */
  readonly #arrived = new Map<number, number>();
  /** Per run: up to here frames were accepted and will be applied. */
  readonly #accepted = new Map<number, number>();
  readonly #applied = new Map<number, number>();
  readonly #flushed = new Map<number, number>();
  /** The run that was applied last. */
  #present = 0;
  #queue: Batch[] = [];
  #waitingBytes = 0;
  #isApplying = false;
  #isRejecting = false;
  readonly #teller = new FlushTeller(() => void this.#flush());

  /** An inbox behind what is applied already, which counts as flushed. */
  constructor(options: OriginInboxOptions) {
    this.#options = options;
    this.#readPositions();
    for (const [run, sequence] of this.#applied) {
      this.#flushed.set(run, sequence);
    }
  }

  /** What is told over the next connection; a part of a batch may be stored. */
  #readPositions(): void {
    const { log, origin } = this.#options;
    for (const position of log.positions()) {
      if (position.origin !== origin) continue;
      raise(this.#applied, position.incarnation, position.sequence);
    }
  }

  /** Bytes that arrived and are not applied. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** What to acknowledge now. */
  ack(): AckBody {
    const incarnation = this.#present;
    return {
      incarnation,
      written: this.#applied.get(incarnation) ?? 0,
      durable: this.#flushed.get(incarnation) ?? 0,
    };
  }

  /**
   * Look at a frame that came: no gaps, nothing twice.
   *
   * @returns The records that are new, possibly none; or why it is refused.
   */
  arrive(body: RecordsBody): Arrival {
    const { incarnation, firstSequence, records } = body;
    const expected = this.#arrivedUpTo(incarnation) + 1;
    if (firstSequence > expected) {
      // What follows a rejected frame is a gap by nature.
      if (this.#isRejecting) return { kind: "rejected-before" };
      return fault(
        `record ${incarnation}/${firstSequence} came, expected ${expected}`,
      );
    }
    if (!this.#applied.has(incarnation) && this.#applied.size >= RUNS_MAX) {
      return fault(`has more than ${RUNS_MAX} runs of its log`);
    }
    this.#isRejecting = false;
    const last = firstSequence + records.length - 1;
    if (last >= expected) this.#arrived.set(incarnation, last);
    return { kind: "taken", body: after(body, expected - 1) };
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
    { durable, bytes, memory }: {
      readonly durable: boolean;
      readonly bytes: number;
      /** Holds this frame alone: given back once it is applied. */
      readonly memory?: ArrayBuffer | undefined;
    },
  ): boolean {
    if (this.#waitingBytes + bytes > WAITING_BYTES_MAX) return false;
    const { incarnation } = body;
    const upTo = this.#acceptedUpTo(incarnation);
    if (body.firstSequence > upTo + 1) return true;
    const fresh = after(body, upTo);
    this.#queue.push({ ...fresh, batch, durable, bytes, memory });
    this.#waitingBytes += bytes;
    const last = fresh.firstSequence + fresh.records.length - 1;
    this.#accepted.set(incarnation, Math.max(upTo, last));
    if (!this.#isApplying) void this.#applyAll();
    return true;
  }

  /**
   * A comparison has brought what the origin has forgotten: its log is held up
   * to here, and goes on there.
   *
   * @returns Whether that is stored; durable then.
   */
  async skip(place: LogPlace): Promise<boolean> {
    const { log, origin, failed } = this.#options;
    try {
      await log.skip(origin, place);
    } catch (error) {
      failed(error);
      return false;
    }
    const { incarnation, sequence } = place;
    raise(this.#applied, incarnation, sequence);
    raise(this.#flushed, incarnation, sequence);
    if (this.#accepted.has(incarnation)) {
      raise(this.#accepted, incarnation, sequence);
    }
    this.#present = incarnation;
    return true;
  }

  /** The origin has forgotten its runs before this one. */
  async forgetRuns(beforeIncarnation: number): Promise<void> {
    const { log, origin, failed } = this.#options;
    try {
      await log.forgetRuns(origin, beforeIncarnation);
    } catch (error) {
      return failed(error);
    }
    const maps = [this.#applied, this.#flushed, this.#accepted, this.#arrived];
    for (const map of maps) {
      for (const run of map.keys()) {
        if (run < beforeIncarnation) map.delete(run);
      }
    }
  }

  /** A frame was refused because of its epoch: it will come again. */
  reject(): void {
    this.#isRejecting = true;
    this.#arrived.clear();
  }

  /** The connection is gone: what was not accepted will come again. */
  unlinked(): void {
    this.#isRejecting = false;
    this.#arrived.clear();
  }

  /** Stop the timer. */
  close(): void {
    this.#teller.close();
  }

  #acceptedUpTo(incarnation: number): number {
    return this.#accepted.get(incarnation) ?? this.#applied.get(incarnation) ??
      0;
  }

  #arrivedUpTo(incarnation: number): number {
    const arrived = this.#arrived.get(incarnation) ?? 0;
    return Math.max(arrived, this.#acceptedUpTo(incarnation));
  }

  async #applyAll(): Promise<void> {
    this.#isApplying = true;
    try {
      while (this.#queue.length > 0) await this.#applySome();
    } catch (error) {
      this.#queue = [];
      this.#waitingBytes = 0;
      this.#arrived.clear();
      this.#accepted.clear();
      this.#readPositions();
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
      if (record.content.kind === "gone") {
        const content = { kind: "none" } as const;
        group.push({ sequence, change: record.change, content, isHole: true });
        continue;
      }
      const content = await this.#contentOf(record);
      group.push({ sequence, change: record.change, content });
    }
    await this.#applyGroup(incarnation, group, durable);
    this.#present = incarnation;
    for (const batch of batches) {
      this.#waitingBytes -= batch.bytes;
      const { memory, bytes } = batch;
      if (memory && bytes >= FREED_BYTES_MIN) this.#options.free(memory);
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
      await log.skip(origin, { incarnation, sequence: last.sequence });
    }
    this.#applied.set(incarnation, last.sequence);
    if (durable) this.#flushed.set(incarnation, last.sequence);
    else this.#teller.applied();
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

  async #flush(): Promise<void> {
    const applied = [...this.#applied];
    try {
      await this.#options.log.flush();
      for (const [incarnation, sequence] of applied) {
        const flushed = this.#flushed.get(incarnation) ?? 0;
        this.#flushed.set(incarnation, Math.max(flushed, sequence));
      }
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

/** The records of a frame that follow a sequence; possibly none. */
function after(body: RecordsBody, sequence: number): RecordsBody {
  const { incarnation, firstSequence, records } = body;
  const known = Math.min(sequence + 1 - firstSequence, records.length);
  return {
    incarnation,
    firstSequence: firstSequence + known,
    records: records.slice(known),
  };
}

function raise(
  map: Map<number, number>,
  incarnation: number,
  sequence: number,
): void {
  map.set(incarnation, Math.max(map.get(incarnation) ?? 0, sequence));
}

function fault(fault: string): Arrival {
  return { kind: "fault", fault };
}
