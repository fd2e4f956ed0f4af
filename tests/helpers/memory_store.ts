/**
 * A store in memory: the ports `LocalFiles` and `ChangeLog` with the same
 * behaviour as `node-agent/files/`, for tests of replication.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import {
  type GroupRegister,
  type NodeId,
  Problem,
  type StorePathReport,
  type SyncPosition,
} from "@kedge/schema";
import { compareEntries, type FileEntry } from "@kedge/schema/change";
import type {
  Adoption,
  Applied,
  ByteSpan,
  ChangeLog,
  ContentSource,
  LocalFiles,
  LogPlace,
  LogRecordWithContent,
  RememberedUpload,
  Staged,
  StageRequest,
  UsedKey,
} from "../../node-agent/ports.ts";
import {
  bucketOf,
  collect,
  contentAfter,
  digestsOf,
  type Held,
  idOf,
  INLINE_BYTES_MAX,
  type MemoryStoreFaults,
  recordNow,
  small,
} from "./memory_states.ts";

/** See the module comment. */
export class MemoryStore implements LocalFiles, ChangeLog {
  readonly node: NodeId;
  readonly store: string;
  readonly faults: MemoryStoreFaults = {};
  readonly #files = new Map<string, Held>();
  readonly #staged = new Map<string, Uint8Array>();
  readonly #keys = new Map<string, RememberedUpload>();
  #logs = new Map<number, LogRecordWithContent[]>();
  #incarnation: number;
  #positions = new Map<NodeId, Map<number, number>>();
  #register: GroupRegister | undefined;
  #cut: LogPlace | undefined;
  #lastToken = 0;
  #random = 0;
  #stamp = 0;
  /** Flushes so far. */
  flushes = 0;

  /** An empty store. */
  constructor(node: NodeId, incarnation = 1) {
    this.node = node;
    this.store = crypto.randomUUID();
    this.#incarnation = incarnation;
    this.#logs.set(incarnation, []);
  }

  get incarnation(): number {
    return this.#incarnation;
  }

  /** Go on in a new run of the log, as after an unclean stop. */
  restart(): void {
    this.#logs.set(++this.#incarnation, []);
  }

  // ------------------------------------------------------------ LocalFiles

  async stage(request: StageRequest): Promise<Staged> {
    await this.faults.stage?.();
    const bytes = await collect(request);
    const inline = bytes.length <= INLINE_BYTES_MAX ? bytes : undefined;
    const token = inline === undefined ? `stage-${++this.#lastToken}` : "";
    if (inline === undefined) this.#staged.set(token, bytes);
    return {
      token,
      pathIndex: request.pathIndex ?? 0,
      sizeBytes: bytes.length,
      crc32: crc32(bytes),
      sha256: createHash("sha256").update(bytes).digest("hex"),
      inline,
    };
  }

  discard(staged: Staged): Promise<void> {
    this.#staged.delete(staged.token);
    return Promise.resolve();
  }

  newId(
    { staged, extension, appender }: {
      staged: Staged;
      extension: string;
      appender: boolean;
    },
  ): string {
    return idOf(this.node, ++this.#random, { staged, extension, appender });
  }

  foresee(entry: FileEntry): Promise<{ sizeBytes: number; crc32: number }> {
    const { sizeBytes, crc32 } = entry;
    return Promise.resolve({ sizeBytes, crc32 });
  }

  lookup(id: string): FileEntry | undefined {
    return this.#files.get(id)?.entry;
  }

  read(entry: FileEntry, span?: ByteSpan): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = this.#files.get(entry.id)?.bytes;
    if (bytes === undefined || bytes.length !== entry.sizeBytes) {
      return Promise.reject(new Problem("damaged", "The bytes are missing"));
    }
    const { from, lengthBytes } = span ??
      { from: 0, lengthBytes: bytes.length };
    return Promise.resolve(bytes.slice(from, from + lengthBytes));
  }

  list(): FileEntry[] {
    return [...this.#files.values()].map((held) => held.entry);
  }

  remembered(idempotencyKey: string): RememberedUpload | undefined {
    return this.#keys.get(idempotencyKey);
  }

  storePaths(): StorePathReport[] {
    const state = this.faults.path ?? "writable";
    return [{ index: 0, totalBytes: 1e12, freeBytes: 9e11, state }];
  }

  fileCount(): number {
    return this.list().filter((entry) => entry.state === "present").length;
  }

  alarms(): string[] {
    return [];
  }

  /** Lose the bytes of a file, as a bad disk does. */
  damage(id: string): void {
    const held = this.#files.get(id);
    if (held !== undefined) held.bytes = undefined;
  }

  /** Staged bodies that nothing refers to. */
  get stagedCount(): number {
    return this.#staged.size;
  }

  // ------------------------------------------------------------- ChangeLog

  head(): number {
    return this.#logs.get(this.#incarnation)?.length ?? 0;
  }

  async append(
    record: LogRecordWithContent,
    _durable: boolean,
    idempotencyKey?: string,
  ): Promise<void> {
    await this.#mayWrite();
    if (record.sequence !== this.head() + 1) {
      throw new Error(`append ${record.sequence} after ${this.head()}`);
    }
    this.#logs.get(this.#incarnation)?.push(small(record));
    this.#merge(record.change, record.content);
    const { id, sha256 } = record.change.entry;
    if (idempotencyKey !== undefined) {
      this.#keys.set(idempotencyKey, { id, sha256: sha256 ?? "" });
    }
  }

  async apply(
    origin: NodeId,
    incarnation: number,
    records: readonly LogRecordWithContent[],
  ): Promise<Applied[]> {
    await this.#mayWrite();
    const runs = this.#positions.get(origin) ?? new Map<number, number>();
    this.#positions.set(origin, runs);
    const results: Applied[] = [];
    const held = runs.get(incarnation) ?? 0;
    const first = records[0]?.sequence ?? 1;
    if (first > held + 1) throw new Error(`apply ${first} after ${held}`);
    for (const { change, content, isHole } of records) {
      const result = isHole ? "known" : this.#merge(change, content);
      const { key, entry: { id, sha256 } } = change;
      if (key !== undefined) this.#keys.set(key, { id, sha256: sha256 ?? "" });
      const has = this.#files.get(change.entry.id);
      const isLacking = !isHole && has?.bytes === undefined &&
        has?.entry.state === "present" &&
        compareEntries(has.entry, change.entry) === 0;
      results.push(isLacking ? "needs-content" : result);
    }
    const lacking = results.indexOf("needs-content");
    const count = lacking < 0 ? results.length : lacking;
    const last = first + count - 1;
    if (last > held) runs.set(incarnation, last);
    return results;
  }

  async adopt(changes: readonly Adoption[]): Promise<Applied[]> {
    await this.#mayWrite();
    return changes.map(({ entry, content, usedKey }) => {
      if (usedKey !== undefined) {
        const { key, sha256 } = usedKey;
        this.#keys.set(key, { id: entry.id, sha256 });
      }
      return this.#merge({ entry, body: { kind: "whole" } }, content);
    });
  }

  usedKey(id: string): UsedKey | undefined {
    for (const [key, used] of this.#keys) {
      if (used.id === id) return { key, sha256: used.sha256, epoch: 1 };
    }
    return undefined;
  }

  flush(): Promise<void> {
    this.flushes++;
    return this.#mayWrite();
  }

  recordsAfter(
    incarnation: number,
    sequence: number,
    limit: { records: number; bytes: number },
  ): Promise<LogRecordWithContent[]> {
    const log = this.#logs.get(incarnation) ?? [];
    if (this.#isCut(incarnation, sequence + 1)) {
      const place = `${incarnation}/${sequence + 1}`;
      return Promise.reject(new Error(`record ${place} is forgotten`));
    }
    const found = log.slice(sequence, sequence + limit.records);
    return Promise.resolve(
      found.map((record) =>
        recordNow(record, this.lookup(record.change.entry.id))
      ),
    );
  }

  incarnations(): { incarnation: number; lastSequence: number }[] {
    return [...this.#logs].filter(([incarnation, log]) =>
      incarnation === this.#incarnation || !this.#isCut(incarnation, log.length)
    ).map(([incarnation, log]) => ({ incarnation, lastSequence: log.length }));
  }

  #isCut(incarnation: number, sequence: number): boolean {
    const cut = this.#cut;
    if (cut === undefined || incarnation > cut.incarnation) return false;
    return incarnation < cut.incarnation || sequence <= cut.sequence;
  }

  async forgetRuns(origin: NodeId, beforeIncarnation: number): Promise<void> {
    await this.#mayWrite();
    const runs = this.#positions.get(origin) ?? new Map<number, number>();
    for (const run of runs.keys()) {
      if (run < beforeIncarnation) runs.delete(run);
    }
  }

  cut(): LogPlace | undefined {
    return this.#cut;
  }

  async cutLog({ incarnation, sequence }: LogPlace): Promise<boolean> {
    await this.#mayWrite();
    const isPresent = incarnation === this.#incarnation;
    const last = isPresent ? Math.min(sequence, this.head() - 1) : sequence;
    if (last > 0) this.#cut = { incarnation, sequence: last };
    return false;
  }

  async skip(origin: NodeId, place: LogPlace): Promise<void> {
    await this.#mayWrite();
    const runs = this.#positions.get(origin) ?? new Map<number, number>();
    this.#positions.set(origin, runs);
    const held = runs.get(place.incarnation) ?? 0;
    runs.set(place.incarnation, Math.max(held, place.sequence));
  }

  positions(): SyncPosition[] {
    return [...this.#positions].flatMap(([origin, runs]) =>
      [...runs].map(([incarnation, sequence]) => ({
        origin,
        incarnation,
        sequence,
      }))
    );
  }

  digests(): Promise<Uint32Array> {
    return Promise.resolve(digestsOf(this.list()));
  }

  presentDigests(): Promise<Uint32Array> {
    const present = this.list().filter(({ state }) => state === "present");
    return Promise.resolve(digestsOf(present));
  }

  bucket(index: number): Promise<FileEntry[]> {
    return Promise.resolve(
      this.list().filter((entry) => bucketOf(entry.id) === index),
    );
  }

  damaged(limit: number, after = ""): Promise<FileEntry[]> {
    const bad = [...this.#files.values()].filter((held) =>
      held.entry.state === "present" && held.bytes === undefined &&
      held.entry.id > after
    ).map((held) => held.entry);
    return Promise.resolve(
      bad.sort((a, b) => a.id < b.id ? -1 : 1).slice(0, limit),
    );
  }

  tombstoneCount(): number {
    return this.list().filter((entry) => entry.state === "tombstone").length;
  }

  tombstoneMark(): number {
    return this.#stamp;
  }

  async collectTombstones(mark: number): Promise<number> {
    await this.#mayWrite();
    const old = [...this.#files.values()].filter(({ entry, stamp }) =>
      entry.state === "tombstone" && stamp <= mark
    );
    for (const { entry } of old) this.#files.delete(entry.id);
    return old.length;
  }

  register(): GroupRegister | undefined {
    return this.#register;
  }

  saveRegister(register: GroupRegister): Promise<void> {
    this.#register = register;
    return Promise.resolve();
  }

  // ---------------------------------------------------------------- inside

  async #mayWrite(): Promise<void> {
    await this.faults.delay?.();
    if (this.faults.write !== undefined) throw this.faults.write;
  }

  #merge(
    change: LogRecordWithContent["change"],
    content: ContentSource,
  ): Applied {
    const { entry, body } = change;
    const held = this.#files.get(entry.id);
    const order = held === undefined ? 1 : compareEntries(entry, held.entry);
    const bytes = this.#bytesOf(content);
    if (order < 0) return "known";
    if (order === 0 && (held?.bytes !== undefined || bytes === undefined)) {
      return "known";
    }
    if (entry.state === "tombstone") {
      const stamp = ++this.#stamp;
      this.#files.set(entry.id, { entry, bytes: undefined, stamp });
      return "applied";
    }
    const next = contentAfter(held, body, { entry, bytes });
    this.#files.set(entry.id, { entry, bytes: next, stamp: ++this.#stamp });
    return next === undefined ? "needs-content" : "applied";
  }

  #bytesOf(content: ContentSource): Uint8Array | undefined {
    if (content.kind === "none") return undefined;
    if (content.kind === "inline") return content.bytes.slice();
    const { staged } = content;
    const bytes = staged.inline ?? this.#staged.get(staged.token);
    this.#staged.delete(staged.token);
    return bytes;
  }
}
