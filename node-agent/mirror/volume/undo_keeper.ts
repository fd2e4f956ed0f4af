/**
 * Keeps what a volume holds before the data of its peer replaces it.
 *
 * Before a block is overwritten for the first time its content is in the file,
 * durably. So that not every write waits for the disk, the blocks behind it
 * that a resync will replace next are kept with it, up to a window.
 *
 * The file is named after the generation that is thrown away. One that was cut
 * off by a crash is gone on with: its blocks are known from its records.
 *
 * @module
 */

import { formatGeneration } from "../decisions/generations_core.ts";
import {
  encodeUndoHead,
  putUndoRecord,
  UNDO_CONTENT_BYTES_MAX,
  UNDO_HEAD_BYTES,
  UNDO_RECORD_BYTES,
} from "./undo_layout.ts";
import { plainName, syncFolder } from "./durable_file.ts";
import { UNDO_SUFFIX, UndoHeadError, UndoReader } from "./undo_reader.ts";

const BLOCK_BYTES = 4096;
/** How far behind a write blocks are kept with it, in bytes. */
const WINDOW_BYTES = 4 * 1024 * 1024;

/** In the name of a file that has discarded writes only, see B5. */
export const LOST_MARK = "-lost";

/** What is kept, and where. */
export interface UndoOptions {
  /** Folder of the undo files. */
  readonly dir: string;
  readonly resource: string;
  readonly volume: number;
  /** The generation that is thrown away. */
  readonly generation: bigint;
  /** Behind it in the name of the file. */
  readonly mark?: string;
  readonly sizeBytes: number;
  /** Read the disk. False: it failed. */
  readonly read: (offset: number, into: Uint8Array) => boolean;
  /** Whether the peer's data will replace this block (of 4096 bytes). */
  readonly willChange: (block: number) => boolean;
}

/** See the module comment. */
export class UndoKeeper {
  readonly path: string;
  readonly #options: UndoOptions;
  readonly #file: Deno.FsFile;
  readonly #kept: Uint8Array;
  readonly #buffer = new Uint8Array(UNDO_RECORD_BYTES + UNDO_CONTENT_BYTES_MAX);
  /** Size of the volume when the file was begun: it may have grown since. */
  #sizeBytes: number;
  #isClosed = false;

  /**
   * Begin a file, or go on with the one that is there.
   *
   * @throws {Error} When it cannot be written.
   */
  constructor(options: UndoOptions) {
    const { dir, resource, volume, generation, sizeBytes, mark = "" } = options;
    const name = formatGeneration(generation);
    this.#options = options;
    this.#sizeBytes = sizeBytes;
    this.path = `${dir}/${
      plainName(resource)
    }-${volume}-${name}${mark}${UNDO_SUFFIX}`;
    this.#kept = new Uint8Array(Math.ceil(sizeBytes / BLOCK_BYTES / 8));
    Deno.mkdirSync(dir, { recursive: true, mode: 0o700 });
    const isThere = this.#goOn();
    this.#file = Deno.openSync(this.path, {
      write: true,
      create: true,
      mode: 0o600,
    });
    const createdMs = Date.now();
    const head = { resource, volume, generation: name, sizeBytes, createdMs };
    try {
      this.#file.truncateSync(isThere ?? 0);
      this.#file.seekSync(0, Deno.SeekMode.End);
      if (isThere === undefined) this.#begin(head);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * A range is about to be overwritten: keep what is there; durable on return.
   *
   * @throws {Error} When that was not possible: do not overwrite it.
   */
  before(offset: number, lengthBytes: number): void {
    this.beforeAll([{ offset, lengthBytes }]);
  }

  /** {@linkcode before} for ranges that are overwritten together. */
  beforeAll(
    ranges: readonly {
      readonly offset: number;
      readonly lengthBytes: number;
    }[],
  ): void {
    let isNew = false;
    for (const { offset, lengthBytes } of ranges) {
      isNew = this.#keep(offset, lengthBytes) || isNew;
    }
    if (isNew) this.#file.syncDataSync();
  }

  /** @returns Whether something was appended. */
  #keep(offset: number, lengthBytes: number): boolean {
    const last = Math.ceil(this.#sizeBytes / BLOCK_BYTES);
    const first = Math.floor(offset / BLOCK_BYTES);
    const behind = Math.min(
      last,
      Math.ceil((offset + lengthBytes) / BLOCK_BYTES),
    );
    if (this.#isKept(first, behind)) return false;
    const end = Math.min(last, first + WINDOW_BYTES / BLOCK_BYTES);
    for (let block = first; block < Math.max(end, behind);) {
      const isDue = block < behind || this.#options.willChange(block);
      block = isDue && !this.#has(block)
        ? this.#keepRun(block, Math.max(end, behind), behind)
        : block + 1;
    }
    return true;
  }

  /** Everything was replaced: the file gets its end. */
  finish(): void {
    if (this.#isClosed) return;
    const record = this.#buffer.subarray(0, UNDO_RECORD_BYTES);
    putUndoRecord(record, 0, { offset: 0, lengthBytes: 0 });
    this.#append(record);
    this.#file.syncSync();
    this.close();
  }

  /** Leave it as it is. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#file.close();
  }

  #begin(head: Parameters<typeof encodeUndoHead>[0]): void {
    this.#append(encodeUndoHead(head));
    this.#file.syncSync();
    syncFolder(this.#options.dir);
  }

  /** @returns The block behind what was kept. */
  #keepRun(first: number, end: number, mustBefore: number): number {
    const { read, willChange } = this.#options;
    const most = Math.min(end, first + UNDO_CONTENT_BYTES_MAX / BLOCK_BYTES);
    let behind = first + 1;
    while (
      behind < most && !this.#has(behind) &&
      (behind < mustBefore || willChange(behind))
    ) behind++;
    const offset = first * BLOCK_BYTES;
    const lengthBytes = Math.min(behind * BLOCK_BYTES, this.#sizeBytes) -
      offset;
    const bytes = this.#buffer.subarray(0, UNDO_RECORD_BYTES + lengthBytes);
    if (!read(offset, bytes.subarray(UNDO_RECORD_BYTES))) {
      throw new Error("the disk cannot be read");
    }
    putUndoRecord(bytes, 0, { offset, lengthBytes });
    this.#append(bytes);
    for (let block = first; block < behind; block++) this.#mark(block);
    return behind;
  }

  /** @returns Where records go on; undefined: there is no file to go on with. */
  #goOn(): number | undefined {
    try {
      using reader = new UndoReader(this.path);
      if (reader.head.sizeBytes > this.#sizeBytes) {
        throw new Error(`"${this.path}" is of a larger volume`);
      }
      this.#sizeBytes = reader.head.sizeBytes;
      for (const { offset, content } of reader.pieces()) {
        const first = offset / BLOCK_BYTES;
        const behind = Math.ceil((offset + content.length) / BLOCK_BYTES);
        for (let block = first; block < behind; block++) this.#mark(block);
      }
      return reader.endBytes;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      if (!(error instanceof UndoHeadError)) throw error;
      setAside(this.path);
      return undefined;
    }
  }

  #append(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      done += this.#file.writeSync(bytes.subarray(done));
    }
  }

  #isKept(first: number, behind: number): boolean {
    for (let block = first; block < behind; block++) {
      if (!this.#has(block)) return false;
    }
    return true;
  }

  #has(block: number): boolean {
    return ((this.#kept[Math.floor(block / 8)] ?? 0) & (1 << (block & 7))) !==
      0;
  }

  #mark(block: number): void {
    const at = Math.floor(block / 8);
    this.#kept[at] = (this.#kept[at] ?? 0) | (1 << (block & 7));
  }
}

/** Cut before its head was there it keeps nothing; damaged later it may. */
function setAside(path: string): void {
  if (Deno.statSync(path).size <= UNDO_HEAD_BYTES) Deno.removeSync(path);
  else Deno.renameSync(path, `${path}.damaged`);
}
