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
import { entryOf } from "@kedge/schema/db";
import {
  hashedDirectory,
  rotatedDirectory,
} from "@kedge/schema/file-directories";
import { encodeFileId, encodeFileName } from "@kedge/schema/file-id";
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
import type { HereOrLater } from "../when_here.ts";
import { Contents, damagedHere } from "./contents.ts";
import type { Editor } from "./editor.ts";
import { sizeOf } from "./disk.ts";
import { type Layout, mustParse } from "./layout.ts";
import type { ListQuery, LocalIndex } from "./local_index.ts";
import { NewNames } from "./new_names.ts";
import type { Edits } from "./edits.ts";
import type { PackedReader } from "./packed_reader.ts";
import type { Pump } from "./pump.ts";
import type { EarlyFiles } from "./early_files.ts";
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
  readonly early: EarlyFiles;
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
  readonly #contents: Contents;
  /** Files placed so far, for the directories. */
  placed: number;
  /** See {@linkcode forgetNames}. */
  #namesAfterS: number;

  /** Put together by `openStore`. */
  constructor(parts: StoreParts, naming: Naming) {
    this.#parts = parts;
    this.#naming = naming;
    this.#contents = new Contents(parts);
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
    if (row.damaged === 1) throw damagedHere(row.id);
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
  read(
    entry: FileEntry,
    span?: ByteSpan,
    room?: ReadRoom,
  ): HereOrLater<Body> {
    return this.#contents.read(entry, span, room);
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

  /** @inheritdoc */
  alarms(): string[] {
    const { pump, paths, alarms, isDatabaseFull } = this.#parts;
    const { failure } = pump;
    const closed = failure === undefined
      ? []
      : [`the log is closed: ${failure}`];
    const full = isDatabaseFull() ? ["the disk of the database is full"] : [];
    const rest = [...alarms, ...this.#contents.alarms()];
    return [...closed, ...full, ...paths.alarms(), ...rest]
      .map((line) => line.slice(0, 300)).slice(0, 32);
  }
}
