/**
 * `LocalFiles`: what `http/` and `sync/` do with this node's files.
 *
 * @module
 */

import {
  IDEMPOTENCY_KEY_LIFE_MS,
  INLINE_BODY_BYTES_MAX,
  Problem,
  type StorePathReport,
} from "@kedge/schema";
import { compareEntries, type FileEntry } from "@kedge/schema/change";
import { entryOf, type FileRow } from "@kedge/schema/db";
import {
  encodeFileId,
  encodeFileName,
  hashedDirectory,
  rotatedDirectory,
} from "@kedge/schema/file-id";
import type {
  ByteSpan,
  Clock,
  ContentEdit,
  LocalFiles,
  ReadRoom,
  RememberedUpload,
  Staged,
  StageRequest,
} from "../ports.ts";
import type { Editor } from "./editor.ts";
import { exists, sizeOf, UNMOUNTED } from "./disk.ts";
import { keptOf, mayBeKept } from "./kept_content.ts";
import { type Layout, mustParse } from "./layout.ts";
import type { ListQuery, LocalIndex } from "./local_index.ts";
import { changed, problemOfRead } from "./read_problems.ts";
import { NewNames } from "./new_names.ts";
import type { Edits } from "./edits.ts";
import type { PackedReader } from "./packed_reader.ts";
import type { Pump } from "./pump.ts";
import type { QuickLog } from "./quick_log.ts";
import type { Body, Reader } from "./reader.ts";
import type { Stager } from "./stager.ts";
import type { StorePaths } from "./store_paths.ts";

/** How long an idempotency key is remembered: a day, in ms. */
export const KEY_LIFE_MS: number = IDEMPOTENCY_KEY_LIFE_MS;
/** Names tried for one file. Source: FastDFS. */
const NAME_TRIES_MAX = 10;
/** Seconds that a file ID can hold. */
const SECONDS = 2 ** 32;
/** Damaged files that alarms tell. */
const DAMAGE_TOLD_MAX = 16;

/** How new files are named. */
export interface Naming {
  readonly node: number;
  readonly group: string;
  readonly subdirCount: number;
  readonly distributeMode: "rotate" | "random";
  readonly rotateCount: number;
  /** Files placed before this run. */
  readonly placed: number;
  /** No name is of this second or before. */
  readonly namesAfterS: number;
}

/** What the files of a store are made of. */
export interface StoreParts {
  readonly layout: Layout;
  readonly index: LocalIndex;
  /** Reads files without a file of their own, if there may be any. */
  readonly packed: PackedReader;
  readonly paths: StorePaths;
  readonly pump: Pump;
  readonly quick: QuickLog;
  readonly stager: Stager;
  readonly reader: Reader;
  readonly editor: Editor;
  readonly edits: Edits;
  readonly clock: Clock;
  /** A random 32-bit number. */
  readonly random: () => number;
  /** What operators should see, besides the store paths. */
  readonly alarms: Set<string>;
  /** Whether the disk of the database is full. */
  readonly isDatabaseFull: () => boolean;
}

/** This node's files. */
export class StoredFiles implements LocalFiles {
  readonly #parts: StoreParts;
  readonly #naming: Naming;
  readonly #names: NewNames;
  /** What was found wrong, by file ID. */
  readonly #damage = new Map<string, string>();
  /** Files placed so far, for the directories. */
  placed: number;
  /** See {@linkcode forgetNames}. */
  #namesAfterS: number;

  /** Put together by `openStore`. */
  constructor(parts: StoreParts, naming: Naming) {
    this.#parts = parts;
    this.#naming = naming;
    this.placed = naming.placed;
    this.#namesAfterS = naming.namesAfterS;
    this.#names = new NewNames({
      sinceS: this.#nowS(),
      isKnown: (id) => this.#parts.index.row(id) !== undefined,
    });
  }

  #nowS(): number {
    return Math.floor(this.#parts.clock.wallMs() / 1000) % SECONDS;
  }

  /** The second for a new name: none whose names may be forgotten. */
  #nameS(): number {
    const nowS = this.#nowS();
    return nowS > this.#namesAfterS
      ? nowS
      : Math.min(this.#namesAfterS + 1, SECONDS - 1);
  }

  /**
   * These files will leave the index, which then cannot say any more that their
   * names were used. Every name contains its node and the second in which it was
   * made, so it is enough to make no more names of those seconds: if the clock is
   * set back, names go on in the second after them.
   *
   * @returns The last second that is not used any more; to be stored.
   */
  forgetNames(ids: readonly string[]): number {
    for (const id of ids) {
      const { origin, createdS } = mustParse(id);
      if (origin !== this.#naming.node) continue;
      this.#namesAfterS = Math.max(this.#namesAfterS, createdS);
    }
    return this.#namesAfterS;
  }

  /** @inheritdoc */
  stage(request: StageRequest): Promise<Staged> {
    const { pump, isDatabaseFull } = this.#parts;
    if (pump.failure !== undefined) {
      const why = `This node's log is closed: ${pump.failure}`;
      return Promise.reject(new Problem("read-only", why));
    }
    if (isDatabaseFull()) {
      const why = "The disk of this node's database is full";
      return Promise.reject(new Problem("insufficient-storage", why));
    }
    return this.#parts.stager.stage(request);
  }

  /** @inheritdoc */
  async discard(staged: Staged): Promise<void> {
    if (staged.token !== "") await this.#parts.stager.discard(staged.token);
  }

  /** @inheritdoc */
  newId(options: {
    readonly staged: Staged;
    readonly extension: string;
    readonly appender: boolean;
  }): string {
    for (let attempt = 0; attempt < NAME_TRIES_MAX; attempt++) {
      const id = this.#name(options);
      if (!this.#names.take(id)) continue;
      this.placed++;
      return id;
    }
    throw new Problem("internal", "No unused name was found for a file");
  }

  #name(options: {
    readonly staged: Staged;
    readonly extension: string;
    readonly appender: boolean;
  }): string {
    const { node, group, subdirCount, rotateCount } = this.#naming;
    const { staged, extension, appender } = options;
    const { random } = this.#parts;
    const name = encodeFileName({
      origin: node,
      createdS: this.#nameS(),
      sizeBytes: staged.sizeBytes,
      crc32: staged.crc32,
      appender,
      random: random(),
      digits: random(),
      extension,
    });
    const directory = this.#naming.distributeMode === "rotate"
      ? rotatedDirectory(this.placed, rotateCount, subdirCount)
      : hashedDirectory(name, subdirCount);
    const { pathIndex } = staged;
    return encodeFileId({ group, pathIndex, ...directory }, name);
  }

  /** Whether this is the name of a file that is just being made here. */
  isNew(id: string): boolean {
    return this.#names.isTaken(id);
  }

  /** The record of this file is stored: the index remembers it from now on. */
  release(id: string): void {
    this.#names.release(id);
  }

  /** @inheritdoc */
  async foresee(
    entry: FileEntry,
    edit: ContentEdit,
  ): Promise<{ readonly sizeBytes: number; readonly crc32: number }> {
    const row = await this.#parts.index.stillRow(entry.id);
    if (row === undefined || compareEntries(entryOf(row), entry) !== 0) {
      throw new Problem("precondition-failed", "The file changed meanwhile");
    }
    if (row.damaged === 1) throw this.#damaged(row.id);
    if (edit.kind === "range" && edit.offset > row.sizeBytes) {
      throw new Problem(
        "range-not-satisfiable",
        `The file has ${row.sizeBytes} bytes; a change cannot begin at ${edit.offset}`,
      );
    }
    return await this.#parts.edits.foresee(row, edit);
  }

  /** @inheritdoc */
  lookup(id: string): FileEntry | undefined {
    const row = this.#parts.index.row(id);
    return row === undefined ? undefined : entryOf(row);
  }

  /** @inheritdoc */
  async read(
    entry: FileEntry,
    span?: ByteSpan,
    room?: ReadRoom,
  ): Promise<Body> {
    const { index, reader, paths, layout } = this.#parts;
    const { id, sizeBytes } = entry;
    const still = index.rows.whenStill(id);
    const row = still === undefined ? index.row(id) : await index.stillRow(id);
    const { from, lengthBytes } = span ?? { from: 0, lengthBytes: sizeBytes };
    if (from < 0 || lengthBytes < 0 || from + lengthBytes > sizeBytes) {
      const why = "The range is not in the file";
      throw new Problem("range-not-satisfiable", why);
    }
    if (row === undefined || row.tombstone === 1) {
      throw new Problem("file-not-found", `${id} was deleted`);
    }
    if (row.damaged === 1 || !paths.isReadable(row.pathIndex)) {
      throw this.#damaged(id);
    }
    const isSame = compareEntries(entryOf(row), entry) === 0;
    if (!isSame && row.sizeBytes < sizeBytes) throw changed(id);
    const packed = isSame && this.#parts.packed.isOn
      ? await this.#packed(row)
      : undefined;
    if (packed !== undefined) return packed.subarray(from, from + lengthBytes);
    const path = layout.file(id, row.pathIndex);
    const wanted = isSame ? row : { ...row, sizeBytes, crc32: entry.crc32 };
    try {
      const onDamage = (why: string) => this.#report(isSame, row, why);
      const file = { path, row: wanted, onDamage };
      return await reader.read(file, { from, lengthBytes }, room);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (!isSame) throw changed(id);
      const kept = keptOf(index.statements, row);
      const bytes = kept && await reader.kept(layout, row, kept);
      if (bytes !== undefined) return bytes.subarray(from, from + lengthBytes);
      const [base, ...tail] = kept ?? [];
      if (base?.kind !== "rename" || tail.length > 0) throw error;
      // Stored, but a disk that fails or is full has not taken the name yet.
      const staged = layout.staged(base.pathIndex, base.token);
      const file = { path: staged, row: wanted, onDamage() {} };
      return await reader.read(file, { from, lengthBytes });
    }
  }

  /** The bytes of a file that has no file of its own. */
  async #packed(row: FileRow): Promise<Uint8Array<ArrayBuffer> | undefined> {
    let found: Awaited<ReturnType<PackedReader["read"]>>;
    try {
      found = await this.#parts.packed.read(row);
    } catch (error) {
      throw problemOfRead(row.id, error);
    }
    if (typeof found !== "string") return found;
    this.#report(true, row, found);
    throw this.#damaged(row.id);
  }

  #damaged(id: string): Problem {
    const why = `The content of ${id} is missing or wrong on this node`;
    return new Problem("damaged", why, { id });
  }

  #report(isSame: boolean, row: FileRow, why: string): void {
    const { paths, layout, pump, index } = this.#parts;
    if (!isSame) return;
    if (mayBeKept(layout, row, keptOf(index.statements, row))) return;
    if (!exists(layout.marker(row.pathIndex))) {
      const state = { state: "missing", reason: UNMOUNTED } as const;
      return paths.set(row.pathIndex, state);
    }
    const { id, epoch, version } = row;
    if (this.#damage.size < DAMAGE_TOLD_MAX) this.#damage.set(id, why);
    index.rows.forget(id);
    pump.store(
      () => ({ kind: "mark", id, epoch, version, damaged: true }),
      [],
      false,
    ).then(() => index.rows.forget(id), () => {});
  }

  /** @inheritdoc */
  isLean(entry: FileEntry, { from, lengthBytes }: ByteSpan): boolean {
    return from + lengthBytes === entry.sizeBytes &&
      this.#parts.reader.isChecked(entry);
  }

  /** @inheritdoc */
  isPlain(entry: FileEntry): boolean {
    const { index, layout, paths } = this.#parts;
    const { id, appender, sizeBytes } = entry;
    if (appender || sizeBytes <= INLINE_BODY_BYTES_MAX) return false;
    const row = index.row(id);
    if (row === undefined || row.damaged === 1 || row.tombstone === 1) {
      return false;
    }
    // A disk that takes no changes may not have renamed it yet.
    const { pathIndex } = row;
    return mustParse(id).pathIndex === pathIndex &&
      paths.isWritable(pathIndex) &&
      sizeOf(layout.file(id, pathIndex)) === sizeBytes;
  }

  /** @inheritdoc */
  async changedS({ id }: FileEntry): Promise<number | undefined> {
    const { index, layout, reader } = this.#parts;
    const row = index.row(id);
    if (row === undefined) return undefined;
    return await reader.changedS(layout.file(id, row.pathIndex), row.pathIndex);
  }

  /** @inheritdoc */
  list(query: ListQuery): FileEntry[] {
    return this.#parts.index.list(query);
  }

  /** @inheritdoc */
  remembered(idempotencyKey: string): RememberedUpload | undefined {
    const { index, clock } = this.#parts;
    const row = index.statements.key.get({ key: idempotencyKey });
    if (row === undefined) return undefined;
    if (row.usedMs + KEY_LIFE_MS < clock.wallMs()) return undefined;
    return { id: row.id, sha256: row.sha256 };
  }

  /** @inheritdoc */
  storePaths(): StorePathReport[] {
    return this.#parts.paths.report();
  }

  /** @inheritdoc */
  fileCount(): number {
    return this.#parts.pump.present;
  }

  #damageAlarms(): string[] {
    const { index } = this.#parts;
    for (const id of this.#damage.keys()) {
      const row = index.row(id);
      const isMended = row === undefined || row.tombstone === 1 ||
        row.damaged === 0;
      if (isMended) this.#damage.delete(id);
    }
    return [...this.#damage].map(([id, why]) =>
      `${id} is damaged here: ${why}`
    );
  }

  /** @inheritdoc */
  alarms(): string[] {
    const { pump, paths, alarms, isDatabaseFull } = this.#parts;
    const { failure } = pump;
    const closed = failure === undefined
      ? []
      : [`the log is closed: ${failure}`];
    const full = isDatabaseFull() ? ["the disk of the database is full"] : [];
    const rest = [...alarms, ...this.#damageAlarms()];
    return [...closed, ...full, ...paths.alarms(), ...rest]
      .map((line) => line.slice(0, 300)).slice(0, 32);
  }
}
