/**
 * Writes a large body to its staging file, checks it and passes it on.
 *
 * Every piece is written at once; only while a write is under way do the next
 * ones collect, so that a slow disk gets few large writes and a body that does
 * not go on holds no memory.
 *
 * @module
 */

import { createHash, type Hash } from "node:crypto";
import { KIB, MIB } from "@kedge/schema";
import type { Relay } from "../ports.ts";
import { joined } from "./body_chunks.ts";
import { BlockChecksums } from "./crc32.ts";
import { writeAll, writeAllSync } from "./disk.ts";
import { Turns } from "../turns.ts";

/** Writes under way at once in the whole store. */
const WRITES_AT_ONCE = 32;
/** Most bytes that are written in the event loop in one go. */
const HERE_BYTES_MAX = 256 * KIB;
/**
 * So much of one body, in bytes; the rest is written by threads: the system may
 * hold up who writes more than the disk takes.
 */
const HERE_BODY_BYTES_MAX = 4 * MIB;
/** Bytes of one body that collect during a write. */
const COLLECTED_BYTES = 512 * KIB;
/** Bytes of all bodies that collect; above it, each waits for its own write. */
const COLLECTED_BYTES_IN_ALL = 16 * MIB;

/** A failure of the disk, not of the sender. */
export class DiskError extends Error {}

/**
 * Does something short in the event loop, or says that the disk is too slow for
 * it now.
 */
export type Here = (work: () => void) => boolean;

/** Everything that the sinks of one store share. */
export class SinkDesk {
  readonly #turns = new Turns(WRITES_AT_ONCE);
  /** Bytes that were taken and are not written. */
  heldBytes = 0;

  /** Write when it is our turn. */
  write(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
    return this.#turns.run(() => writeAll(file, bytes));
  }

  /**
   * Make a staging file.
   *
   * @throws {DiskError}
   */
  async openNew(path: string, here: Here = never): Promise<Deno.FsFile> {
    const how = { write: true, createNew: true, mode: 0o640 };
    try {
      let made: Deno.FsFile | undefined;
      if (here(() => made = Deno.openSync(path, how)) && made) return made;
      return await this.#turns.run(() => Deno.open(path, how));
    } catch (error) {
      throw new DiskError("open", { cause: error });
    }
  }
}

/** What a sink works with. */
export interface FileSinkOptions {
  readonly desk: SinkDesk;
  /** Where the bytes go. */
  readonly file: Deno.FsFile;
  readonly relay: Relay | undefined;
  /**
   * Nobody else uses the bytes: their memory is given back once they are
   * written and passed on, not when the next collection happens to come.
   */
  readonly mayFree: boolean;
  /** Missing: every write is made by a thread. */
  readonly here?: Here | undefined;
  /** Flush each time this many bytes were written; never when 0. */
  readonly flushEveryBytes?: number;
  /** So many bytes are there now; throws when there is no room. */
  readonly grow: (writtenBytes: number) => void;
}

/** Bytes on their way to the disk and to peers. */
interface Part {
  readonly bytes: Uint8Array;
  /** Settles when peers no longer use them. */
  readonly passed: Promise<void> | undefined;
}

/** See the module comment. */
export class FileSink {
  /** Where the bytes go. */
  readonly file: Deno.FsFile;
  /** Checksums of what was taken. */
  readonly sums = new BlockChecksums();
  readonly #hash: Hash = createHash("sha256");
  readonly #options: FileSinkOptions;
  #parts: Part[] = [];
  #collected = 0;
  #unflushed = 0;
  #passed: Promise<void> | undefined;
  #isWriting = false;
  #writing: Promise<void> = Promise.resolve();
  #failure: unknown;

  /** Write to an empty file. Ends with {@linkcode end} or {@linkcode close}. */
  constructor(options: FileSinkOptions) {
    this.#options = options;
    this.file = options.file;
  }

  /**
   * Take the next bytes; waits for disk and peers.
   *
   * @param chunk Must not be changed afterwards.
   * @throws {DiskError}
   */
  async take(chunk: Uint8Array): Promise<void> {
    const { relay, desk, grow } = this.#options;
    const passed = relay?.write(chunk);
    this.#hash.update(chunk);
    this.sums.update(chunk);
    grow(this.sums.sizeBytes);
    if (this.#writeHere(chunk)) {
      if (this.#options.mayFree) freeOnceUnused({ bytes: chunk, passed });
      if (this.#isFlushDue) this.#write();
    } else this.#collect({ bytes: chunk, passed });
    const isMuch = this.#collected >= COLLECTED_BYTES ||
      desk.heldBytes > COLLECTED_BYTES_IN_ALL;
    if (isMuch) await this.#settled();
    // One piece may be on its way to the peers while the next one comes.
    await this.#passed;
    this.#passed = passed;
  }

  /**
   * Write in the event loop: to hand bytes over to a thread and back costs as
   * much as to copy them into the system's memory.
   *
   * @returns Whether it was done.
   */
  #writeHere(bytes: Uint8Array): boolean {
    const { here } = this.#options;
    if (here === undefined || bytes.length > HERE_BYTES_MAX) return false;
    if (this.sums.sizeBytes > HERE_BODY_BYTES_MAX) return false;
    // What comes first is written first.
    if (this.#isWriting || this.#failure !== undefined) return false;
    try {
      if (!here(() => writeAllSync(this.file, bytes))) return false;
    } catch (error) {
      throw new DiskError("write", { cause: error });
    }
    this.#unflushed += bytes.length;
    return true;
  }

  #collect(part: Part): void {
    const { desk } = this.#options;
    this.#parts.push(part);
    this.#collected += part.bytes.length;
    desk.heldBytes += part.bytes.length;
    if (!this.#isWriting) this.#write();
  }

  /** Write what is collected, and what collects meanwhile. */
  #write(): void {
    this.#isWriting = true;
    this.#writing = this.#writeAll().catch((error) => {
      this.#failure = error;
    });
  }

  async #writeAll(): Promise<void> {
    const { desk, mayFree } = this.#options;
    if (this.#isFlushDue) await this.#flushSome();
    while (this.#parts.length > 0) {
      const parts = this.#parts;
      this.#parts = [];
      this.#collected = 0;
      const bytes = joined(parts.map((part) => part.bytes));
      const isCopy = parts.length > 1;
      if (mayFree && isCopy) parts.forEach(freeOnceUnused);
      const { length } = bytes;
      try {
        await desk.write(this.file, bytes);
        this.#unflushed += length;
        await this.#flushSome();
      } finally {
        desk.heldBytes -= length;
      }
      if (!mayFree) continue;
      if (isCopy) free(bytes);
      else parts.forEach(freeOnceUnused);
    }
    this.#isWriting = false;
  }

  /** A large body must not leave all its bytes for one long flush. */
  get #isFlushDue(): boolean {
    const { flushEveryBytes = 0 } = this.#options;
    return flushEveryBytes > 0 && this.#unflushed >= flushEveryBytes;
  }

  async #flushSome(): Promise<void> {
    if (!this.#isFlushDue) return;
    this.#unflushed = 0;
    await this.file.syncData();
  }

  async #settled(): Promise<void> {
    await this.#writing;
    if (this.#failure !== undefined) {
      throw new DiskError("write", { cause: this.#failure });
    }
  }

  /**
   * Everything is written, not flushed; the file stays open.
   *
   * @throws {DiskError}
   */
  async end(): Promise<void> {
    await this.#settled();
    await this.#passed;
  }

  /** Give the body up, after a failure. */
  close(): void {
    this.#options.desk.heldBytes -= this.#collected;
    this.#collected = 0;
    this.#parts = [];
    // A write that is under way must not meet a closed descriptor.
    void this.#writing.then(() => this.file.close());
  }

  /** What was written. */
  facts(): { sizeBytes: number; crc32: number; sha256: string } {
    const { sizeBytes, crc32 } = this.sums;
    return { sizeBytes, crc32, sha256: this.#hash.digest("hex") };
  }
}

/** Give the memory of a part back as soon as no peer needs it. */
function freeOnceUnused({ bytes, passed }: Part): void {
  if (passed === undefined) free(bytes);
  else void passed.then(() => free(bytes));
}

/** Give the memory of a buffer back now. */
function free({ buffer, byteLength }: Uint8Array): void {
  const isWhole = byteLength === buffer.byteLength;
  if (isWhole && buffer instanceof ArrayBuffer) buffer.transfer(0);
}

function never(): boolean {
  return false;
}
