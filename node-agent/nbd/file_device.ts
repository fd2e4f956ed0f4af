/**
 * A plain file as a block device: for tests, and to measure the export alone.
 *
 * Reads and writes are synchronous positional calls; a flush is asynchronous,
 * so that a slow one does not stop other requests, and flushes that wait
 * together share one `fdatasync`. After a failed write or flush the device
 * fences itself: what the kernel dropped cannot be known, so nothing more is
 * written or promised.
 *
 * @module
 */

import * as fs from "node:fs";
import {
  type BlockDevice,
  type BlockDone,
  BlockErrno,
  type ZeroOptions,
} from "../block_ports.ts";

/** Bytes that are zeroed in one turn of the event loop. */
const ZERO_BYTES = 256 * 1024;
const zeroes = new Uint8Array(ZERO_BYTES);

/** How a file is opened. */
export interface FileDeviceOptions {
  /** Open it for reading only. */
  readonly readOnly?: boolean;
  /** Makes what was written to a file descriptor stable; `fdatasync`. */
  readonly sync?: (fd: number, done: (error: Error | null) => void) => void;
}

/** A file that is served as a device. */
export class FileDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly #fd: number;
  readonly #sync: NonNullable<FileDeviceOptions["sync"]>;
  #isFenced = false;
  #isSyncing = false;
  #flushing: BlockDone[] = [];

  private constructor(fd: number, options: FileDeviceOptions) {
    this.#fd = fd;
    this.#sync = options.sync ?? fs.fdatasync;
    this.sizeBytes = fs.fstatSync(fd).size;
  }

  /**
   * Open a file.
   *
   * @param path The file; its size is the device's.
   */
  static open(path: string, options: FileDeviceOptions = {}): FileDevice {
    const fd = fs.openSync(path, options.readOnly === true ? "r" : "r+");
    return new FileDevice(fd, options);
  }

  /** Close the file. */
  close(): void {
    fs.closeSync(this.#fd);
  }

  /** Read; a file that ends early is an error. */
  read(offset: number, into: Uint8Array, done: BlockDone): void {
    done(this.#attempt(() => {
      for (let at = 0; at < into.length;) {
        const left = into.length - at;
        const count = fs.readSync(this.#fd, into, at, left, offset + at);
        if (count === 0) throw new Error("Cannot read: the file ends");
        at += count;
      }
    }));
  }

  /** Write; with `fua` it joins the next flush. */
  write(
    offset: number,
    data: Uint8Array,
    fua: boolean,
    done: BlockDone,
  ): void {
    const errno = this.#store(offset, data);
    if (fua && errno === BlockErrno.OK) return this.flush(done);
    done(errno);
  }

  /** Write zeroes, a part per turn of the event loop. */
  writeZeroes(
    offset: number,
    lengthBytes: number,
    options: ZeroOptions,
    done: BlockDone,
  ): void {
    if (options.fastOnly) return done(BlockErrno.ENOTSUP);
    const count = Math.min(lengthBytes, ZERO_BYTES);
    const errno = this.#store(offset, zeroes.subarray(0, count));
    if (errno !== BlockErrno.OK) return done(errno);
    if (count < lengthBytes) {
      setTimeout(() =>
        this.writeZeroes(offset + count, lengthBytes - count, options, done)
      );
      return;
    }
    if (!options.fua) return done(BlockErrno.OK);
    this.flush(done);
    this.settle();
  }

  /** Nothing is dropped: a hint may be ignored. */
  trim(
    _offset: number,
    _lengthBytes: number,
    fua: boolean,
    done: BlockDone,
  ): void {
    if (fua) return this.flush(done);
    done(BlockErrno.OK);
  }

  /** Make what was written stable, with the next {@linkcode settle}. */
  flush(done: BlockDone): void {
    this.#flushing.push(done);
  }

  /** Start a flush for everybody who waits for one. */
  settle(): void {
    if (this.#flushing.length === 0 || this.#isSyncing) return;
    const waiting = this.#flushing;
    this.#flushing = [];
    if (this.#isFenced) {
      for (const done of waiting) done(BlockErrno.EIO);
      return;
    }
    this.#isSyncing = true;
    this.#sync(this.#fd, (error) => {
      this.#isSyncing = false;
      if (error) this.#isFenced = true;
      const errno = this.#isFenced ? BlockErrno.EIO : BlockErrno.OK;
      for (const done of waiting) done(errno);
      this.settle();
    });
  }

  /** A file takes what it is given. */
  pressure(): undefined {
    return undefined;
  }

  #store(offset: number, data: Uint8Array): BlockErrno {
    if (this.#isFenced) return BlockErrno.EIO;
    let errno: BlockErrno = BlockErrno.OK;
    try {
      for (let at = 0; at < data.length;) {
        const left = data.length - at;
        at += fs.writeSync(this.#fd, data, at, left, offset + at);
      }
    } catch (error) {
      errno = errnoOf(error);
    }
    // A full disk lost nothing that was acknowledged.
    if (errno === BlockErrno.EIO) this.#isFenced = true;
    return errno;
  }

  #attempt(act: () => void): BlockErrno {
    try {
      act();
      return BlockErrno.OK;
    } catch (error) {
      return errnoOf(error);
    }
  }
}

function errnoOf(error: unknown): BlockErrno {
  return codeOf(error) === "ENOSPC" ? BlockErrno.ENOSPC : BlockErrno.EIO;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
