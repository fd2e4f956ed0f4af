/**
 * `ChangeLog`: the log and the index as `sync/` uses them.
 *
 * @module
 */

import {
  type GroupRegister,
  type NodeId,
  Problem,
  type SyncPosition,
} from "@kedge/schema";
import type { FileEntry } from "@kedge/schema/change";
import type {
  Adoption,
  Applied,
  ChangeLog,
  ContentSource,
  LogPlace,
  LogRecordWithContent,
  RecordsLimit,
  UsedKey,
} from "../ports.ts";
import { pause } from "../turns.ts";
import { LogCut } from "./log_cut.ts";
import { LogReader } from "./log_reader.ts";
import type { StoredFiles, StoreParts } from "./local_files.ts";
import { heldCount, type Step } from "./merge_core.ts";
import { mustWait, type Prepared, Preparer } from "./preparer.ts";
import { QuickRecords } from "./quick_records.ts";
import { collectTombstones } from "./tombstone_sweep.ts";
import type { Op, Opened, RememberedKey } from "./worker_messages.ts";

/** After so many ms others get their turn. */
const TURN_MS_MAX = 10;

/** What a log begins with. */
export interface LogStart {
  readonly node: NodeId;
  readonly group: string;
  readonly opened: Opened;
  readonly register: GroupRegister | undefined;
}

/** The log and index of this node. */
export class StoredLog implements ChangeLog {
  /** @inheritdoc */
  readonly node: NodeId;
  /** @inheritdoc */
  readonly store: string;
  /** @inheritdoc */
  readonly incarnation: number;
  readonly #parts: StoreParts;
  readonly #files: StoredFiles;
  readonly #preparer: Preparer;
  readonly #positions = new Map<string, SyncPosition>();
  readonly #reader: LogReader;
  readonly #cut: LogCut;
  readonly #quick: QuickRecords;
  #register: GroupRegister | undefined;
  #head: number;
  #turn: Promise<unknown> | undefined;

  /** Put together by `openStore`. */
  constructor(parts: StoreParts, files: StoredFiles, start: LogStart) {
    this.node = start.node;
    this.store = start.opened.store;
    this.incarnation = start.opened.incarnation;
    this.#parts = parts;
    this.#files = files;
    this.#preparer = new Preparer(parts, start.group);
    this.#head = start.opened.head;
    this.#register = start.register;
    this.#reader = new LogReader(parts, files);
    this.#cut = new LogCut(parts, this.incarnation);
    const own = { origin: this.node, incarnation: this.incarnation };
    this.#quick = new QuickRecords(parts, files, own);
    for (const position of parts.index.statements.positions.all({})) {
      this.#notePosition(position);
    }
  }

  /** @inheritdoc */
  head(): number {
    return this.#head;
  }

  /** @inheritdoc */
  append(
    record: LogRecordWithContent,
    durable: boolean,
    idempotencyKey?: string,
  ): Promise<void> {
    const { change, content } = record;
    const isSimple = this.#turn === undefined && !mustWait(change, content);
    const key = this.#preparer.keyOf(change, idempotencyKey);
    if (isSimple) {
      const prepared = this.#preparer.simple(change, content);
      return this.#append(record, prepared, { durable, key });
    }
    // Records are stored in order: the later ones wait for this one.
    const before = this.#turn ?? Promise.resolve();
    const ready = before.then(() =>
      this.#preparer.prepare(change, content, durable)
    );
    const stored = ready.then((prepared) => ({
      done: this.#append(record, prepared, { durable, key }),
    }));
    const turn = stored.catch(() => {}).then(() => {
      if (this.#turn === turn) this.#turn = undefined;
    });
    this.#turn = turn;
    return stored.then(({ done }) => done);
  }

  async #append(
    record: LogRecordWithContent,
    prepared: Prepared,
    how: { durable: boolean; key: RememberedKey | undefined },
  ): Promise<void> {
    const { sequence, change } = record;
    const { id } = change.entry;
    const { pump, index } = this.#parts;
    const { step, body } = prepared;
    if (this.#quick.append(record, prepared, how)) {
      this.#head = Math.max(this.#head, sequence);
      return this.#files.release(id);
    }
    const stored = pump.store(
      (at): Op => ({
        kind: "append",
        sequence,
        record: JSON.stringify(change),
        step: placed(step, at),
        key: how.key,
      }),
      body === undefined ? [] : [body],
      how.durable,
    );
    index.rows.change([id], stored);
    this.#handOver(step);
    const { applied } = await stored;
    this.#head = Math.max(this.#head, sequence);
    this.#quick.reach(sequence);
    this.#files.release(id);
    await this.#tidy([step], applied);
    await this.#drop(record.content);
  }

  #handOver({ content }: Step): void {
    if ("token" in content) this.#parts.stager.handOver(content.token);
  }

  /** What was not newer than ours needs no staging file; the rest was written. */
  async #tidy(
    steps: readonly Step[],
    applied: readonly Applied[],
  ): Promise<void> {
    const { reader, stager } = this.#parts;
    for (const [index, { entry, content }] of steps.entries()) {
      if (!("token" in content) || content.token === "") continue;
      if (applied[index] === "applied") reader.wrote(entry.id);
      else await stager.remove(content.pathIndex, content.token);
    }
  }

  /** The bytes are where they belong: their staging file is not needed. */
  async #drop(source: ContentSource): Promise<void> {
    if (source.kind !== "staged" || source.staged.token === "") return;
    await this.#parts.stager.discard(source.staged.token);
  }

  /** @inheritdoc */
  async apply(
    origin: NodeId,
    incarnation: number,
    records: readonly LogRecordWithContent[],
    durable: boolean,
  ): Promise<Applied[]> {
    const [first] = records;
    if (first === undefined) return [];
    records.forEach(({ sequence }, index) => {
      if (sequence === first.sequence + index) return;
      throw new Problem("invalid-request", "Records of a log have a gap");
    });
    const items = await this.#preparer.receive(records, durable);
    const name = { origin, incarnation };
    const beganMs = performance.now();
    const quick = durable ? [] : this.#quick.apply(name, records, items);
    const isLong = performance.now() - beganMs > TURN_MS_MAX;
    const from = first.sequence + quick.length;
    const stored = await this.#storeAll(
      items.slice(quick.length),
      durable,
      (steps) => ({ kind: "apply", ...name, first: from, steps }),
    );
    const applied = [...quick, ...stored];
    for (const { content } of records) await this.#drop(content);
    const sequence = first.sequence + heldCount(applied) - 1;
    this.#notePosition({ ...name, sequence });
    // Callers give the next ones at once, without a turn for anybody else.
    if (isLong) await pause();
    return applied;
  }

  /** @inheritdoc */
  async adopt(
    changes: readonly Adoption[],
    durable: boolean,
  ): Promise<Applied[]> {
    const whole = changes.map(({ entry, content, usedKey }) => ({
      change: { entry, body: { kind: "whole" as const } },
      content,
      usedKey,
    }));
    const items = await this.#preparer.receive(whole, durable);
    const make = (steps: readonly Step[]): Op => ({ kind: "adopt", steps });
    const applied = await this.#storeAll(items, durable, make);
    for (const { content } of changes) await this.#drop(content);
    return applied;
  }

  /** @inheritdoc */
  usedKey(id: string): UsedKey | undefined {
    const row = this.#parts.index.statements.keyOf.get({ id });
    if (row === undefined) return undefined;
    const { key, sha256, epoch } = row;
    return { key, sha256, epoch };
  }

  async #storeAll(
    items: readonly Prepared[],
    durable: boolean,
    make: (steps: readonly Step[]) => Op,
  ): Promise<Applied[]> {
    if (items.length === 0) return [];
    const { pump, index } = this.#parts;
    const bodies = items.flatMap(({ body }) => body ?? []);
    const stored = pump.store(
      (start) => {
        let at = start;
        return make(items.map(({ step, body }) => {
          const result = placed(step, at);
          at += body?.length ?? 0;
          return result;
        }));
      },
      bodies,
      durable,
    );
    index.rows.change(items.map(({ step }) => step.entry.id), stored);
    for (const { step } of items) this.#handOver(step);
    const { applied } = await stored;
    await this.#tidy(items.map(({ step }) => step), applied);
    return [...applied];
  }

  #notePosition(position: SyncPosition): void {
    const { origin, incarnation, sequence } = position;
    const key = `${origin}:${incarnation}`;
    const known = this.#positions.get(key)?.sequence ?? 0;
    if (sequence > known) {
      this.#positions.set(key, { origin, incarnation, sequence });
      this.#quick.reach(sequence, { origin, incarnation });
    }
  }

  /** @inheritdoc */
  async flush(): Promise<void> {
    await this.#turn;
    await this.#parts.pump.store(() => ({ kind: "flush" }), [], true);
  }

  /** Resolves when the database has every record that is stored now. */
  settled(): Promise<void> {
    return this.#quick.settled();
  }

  /** @inheritdoc */
  async recordsAfter(
    incarnation: number,
    sequence: number,
    limit: RecordsLimit,
  ): Promise<LogRecordWithContent[]> {
    await this.settled();
    return await this.#reader.some({ incarnation, sequence }, limit);
  }

  /** @inheritdoc */
  incarnations(): readonly {
    readonly incarnation: number;
    readonly lastSequence: number;
  }[] {
    const earlier = this.#reader.incarnationsBefore(this.incarnation);
    return [...earlier, {
      incarnation: this.incarnation,
      lastSequence: this.#head,
    }];
  }

  /** @inheritdoc */
  cut(): LogPlace | undefined {
    return this.#cut.place;
  }

  /** @inheritdoc */
  cutLog(upTo: LogPlace): Promise<boolean> {
    return this.#cut.some(upTo, this.#head);
  }

  /** @inheritdoc */
  async skip(origin: NodeId, place: LogPlace): Promise<void> {
    const position = { origin, ...place };
    await this.#parts.pump
      .store(() => ({ kind: "skip", ...position }), [], true);
    this.#notePosition(position);
  }

  /** @inheritdoc */
  async forgetRuns(origin: NodeId, beforeIncarnation: number): Promise<void> {
    const old = this.positions().filter((position) =>
      position.origin === origin && position.incarnation < beforeIncarnation
    );
    if (old.length === 0) return;
    // At once: a record that comes meanwhile follows nothing any more.
    for (const position of old) this.#parts.quick.forget(position);
    const run = { origin, incarnation: beforeIncarnation };
    await this.#parts.pump
      .store(() => ({ kind: "forget-runs", ...run }), [], false);
    for (const { incarnation } of old) {
      this.#positions.delete(`${origin}:${incarnation}`);
    }
  }

  /** @inheritdoc */
  positions(): readonly SyncPosition[] {
    return [...this.#positions.values()];
  }

  /** @inheritdoc */
  async digests(): Promise<Uint32Array> {
    await this.settled();
    return (await this.#parts.pump.digests()).digests;
  }

  /** @inheritdoc */
  async presentDigests(): Promise<Uint32Array> {
    await this.settled();
    return (await this.#parts.pump.digests()).present;
  }

  /** @inheritdoc */
  async bucket(index: number): Promise<FileEntry[]> {
    await this.settled();
    return await this.#parts.index.bucket(index);
  }

  /** @inheritdoc */
  damaged(limit: number, after = ""): Promise<FileEntry[]> {
    return Promise.resolve(this.#parts.index.damaged(limit, after));
  }

  /** @inheritdoc */
  tombstoneCount(): number {
    return this.#parts.pump.tombstones;
  }

  /** @inheritdoc */
  tombstoneMark(): number {
    return this.#parts.index.statements.lastTombstone.get({})?.last ?? 0;
  }

  /** @inheritdoc */
  collectTombstones(mark: number): Promise<number> {
    return collectTombstones(this.#parts, this.#files, mark);
  }

  /** @inheritdoc */
  register(): GroupRegister | undefined {
    return this.#register;
  }

  /** @inheritdoc */
  async saveRegister(register: GroupRegister): Promise<void> {
    const value = JSON.stringify(register);
    await this.#parts.pump
      .store(() => ({ kind: "state", key: "register", value }), [], true);
    this.#register = register;
  }
}

function placed(step: Step, at: number): Step {
  const { content } = step;
  return content.kind === "inline"
    ? { ...step, content: { ...content, at } }
    : step;
}
