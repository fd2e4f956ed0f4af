/**
 * A {@link RawDevice} over a block device or a plain file.
 *
 * Positional `node:fs` calls: they loop over short reads and writes, and they
 * block the isolate that makes them (see `raw_device.ts`). An exclusive lock
 * on the file keeps a second process, agent or command, away from the same
 * disk; the system lets go of it when the process ends, however.
 *
 * @module
 */

import * as fs from "node:fs";
import { DeviceError, type RawDevice } from "../raw_device.ts";
import { claimOf } from "./claims.ts";

/** How to open a device. */
export interface FileDeviceOptions {
  /** Only read; takes a shared lock. Default: read and write. */
  readonly readOnly?: boolean;
  /**
   * Let others have it open as well, who say the same: for the device that
   * holds indexed metadata of several volumes. Default: nobody else.
   */
  readonly isShared?: boolean;
}

/** An open block device or file. */
export interface FileDevice extends RawDevice {
  /**
   * Look how large it is now: a block device may have grown.
   *
   * @throws {DeviceError} `read`
   */
  refresh(): void;
  /**
   * A second handle on the same disk, for the metadata: each write is durable
   * when it returns, so `flush` costs nothing, and no transaction of the log
   * waits for the data that happens to be unwritten. Closed with the first.
   *
   * @throws {DeviceError} `open`
   */
  openDurable(): RawDevice;
}

/**
 * Open a block device or file.
 *
 * @throws {DeviceError} `open`, with the system's code, or `EBUSY` when
 * another process holds it, or when the system itself uses the block device
 * (mounted, swap, part of another device).
 */
export function openFileDevice(
  path: string,
  options: FileDeviceOptions = {},
): FileDevice {
  const { readOnly = false } = options;
  const lock = openLocked(path, options);
  try {
    // A block device has no length in its status; its end has an offset.
    const sizeBytes = endOf(lock);
    return new LockedDevice(path, { lock, sizeBytes, readOnly });
  } catch (error) {
    lock.close();
    throw error instanceof DeviceError ? error : failure("open", path, error);
  }
}

/** Positional I/O on one descriptor. */
class Handle implements RawDevice {
  readonly path: string;
  sizeBytes: number;
  readonly #fd: number;
  readonly #isDurable: boolean;
  #isClosed = false;
  #isFenced = false;

  constructor(path: string, sizeBytes: number, flags: number) {
    this.path = path;
    this.sizeBytes = sizeBytes;
    this.#isDurable = (flags & fs.constants.O_DSYNC) !== 0;
    this.#fd = fs.openSync(path, flags);
  }

  readAt(buffer: Uint8Array, offset: number): void {
    this.#check("read", buffer.length, offset);
    let done = 0;
    while (done < buffer.length) {
      const left = buffer.length - done;
      let count: number;
      try {
        count = fs.readSync(this.#fd, buffer, done, left, offset + done);
      } catch (error) {
        throw failure("read", this.path, error);
      }
      if (count === 0) this.#refuse("read", "EIO", "the device is shorter");
      done += count;
    }
  }

  writeAt(buffer: Uint8Array, offset: number): void {
    this.#check("write", buffer.length, offset);
    let done = 0;
    while (done < buffer.length) {
      const left = buffer.length - done;
      let count: number;
      try {
        count = fs.writeSync(this.#fd, buffer, done, left, offset + done);
      } catch (error) {
        // A durable write includes its flush.
        this.#isFenced ||= this.#isDurable;
        throw failure("write", this.path, error);
      }
      if (count === 0) this.#refuse("write", "ENOSPC");
      done += count;
    }
  }

  flush(): void {
    this.#check("flush", 0, 0);
    if (this.#isDurable) return;
    try {
      fs.fdatasyncSync(this.#fd);
    } catch (error) {
      this.#isFenced = true;
      throw failure("flush", this.path, error);
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    fs.closeSync(this.#fd);
  }

  #check(
    operation: "read" | "write" | "flush",
    length: number,
    offset: number,
  ): void {
    if (this.#isClosed) this.#refuse(operation, "EBADF", "it is closed");
    if (this.#isFenced && operation !== "read") {
      this.#refuse(operation, "EIO", "a flush has failed before");
    }
    // Also refuses what is not a number: no comparison with NaN holds.
    if (offset >= 0 && offset + length <= this.sizeBytes) return;
    this.#refuse(
      operation,
      "EINVAL",
      `${offset} + ${length} is outside its ${this.sizeBytes} bytes`,
    );
  }

  #refuse(
    operation: "read" | "write" | "flush",
    code: string,
    detail?: string,
  ): never {
    throw new DeviceError(operation, this.path, {
      code,
      ...(detail === undefined ? {} : { detail }),
    });
  }
}

class LockedDevice extends Handle implements FileDevice {
  readonly #lock: Deno.FsFile;
  readonly #durable: Handle[] = [];
  #isReleased = false;

  constructor(
    path: string,
    options: {
      readonly lock: Deno.FsFile;
      readonly sizeBytes: number;
      readonly readOnly: boolean;
    },
  ) {
    const { O_RDONLY, O_RDWR } = fs.constants;
    super(path, options.sizeBytes, options.readOnly ? O_RDONLY : O_RDWR);
    this.#lock = options.lock;
  }

  refresh(): void {
    try {
      this.sizeBytes = endOf(this.#lock);
    } catch (error) {
      throw failure("read", this.path, error);
    }
    for (const handle of this.#durable) handle.sizeBytes = this.sizeBytes;
  }

  openDurable(): RawDevice {
    const { O_DSYNC, O_RDWR } = fs.constants;
    try {
      const handle = new Handle(this.path, this.sizeBytes, O_RDWR | O_DSYNC);
      this.#durable.push(handle);
      return handle;
    } catch (error) {
      throw failure("open", this.path, error);
    }
  }

  override close(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    for (const handle of this.#durable) handle.close();
    super.close();
    this.#lock.close();
  }
}

function endOf(file: Deno.FsFile): number {
  return file.seekSync(0, Deno.SeekMode.End);
}

function openLocked(path: string, options: FileDeviceOptions): Deno.FsFile {
  const { readOnly = false, isShared = readOnly } = options;
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { read: true, write: !readOnly });
  } catch (error) {
    throw failure("open", path, error);
  }
  try {
    const stat = file.statSync();
    const claim = readOnly ? undefined : claimOf(stat);
    const tries = stat.isBlockDevice === true ? LOCK_TRIES : 1;
    const detail = tryLock(file, !isShared, tries)
      ? claim
      : "another process uses it";
    if (detail === undefined) return file;
    throw new DeviceError("open", path, { code: "EBUSY", detail });
  } catch (error) {
    file.close();
    // A file system without locks, for example.
    throw error instanceof DeviceError ? error : failure("open", path, error);
  }
}

/**
 * A block device is locked for moments by the system's device manager, which
 * looks at it when somebody closes it.
 */
const LOCK_TRIES = 10;
const LOCK_PAUSE_MS = 50;

function tryLock(
  file: Deno.FsFile,
  isExclusive: boolean,
  tries: number,
): boolean {
  const never = new Int32Array(new SharedArrayBuffer(4));
  for (let left = tries; left > 0; left--) {
    if (file.tryLockSync(isExclusive)) return true;
    if (left > 1) Atomics.wait(never, 0, 0, LOCK_PAUSE_MS);
  }
  return false;
}

function failure(
  operation: "open" | "read" | "write" | "flush",
  path: string,
  cause: unknown,
): DeviceError {
  const code = cause instanceof Error && "code" in cause &&
      typeof cause.code === "string"
    ? cause.code
    : "EIO";
  return new DeviceError(operation, path, { code, cause });
}
