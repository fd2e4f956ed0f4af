/**
 * One flush for everything that was written to the file system of a store path,
 * where the system can do it and tells of every error (`syncfs`), and this
 * process may call it (`--allow-ffi`).
 *
 * To flush a thousand files one by one costs a thousand commands to the disk,
 * also when the system wrote all of them long ago: the disk may keep them in a
 * memory of its own.
 *
 * The folder stays open while the path is in use. So an error of a write since
 * then is reported here, whoever else was told of it before, and also when the
 * system has forgotten the file meanwhile, which a flush of the file would not
 * notice.
 *
 * A file system that gave up after an error writes nothing any more, and `syncfs`
 * of one that is read-only or shut down answers that all is well (fs/sync.c of
 * Linux; btrfs ends so). So it is asked after each flush.
 *
 * Source: syncfs(2): errors are reported since Linux 5.8; statfs(2).
 *
 * @module
 */

import { statfsSync } from "node:fs";
import { openCLibrary } from "../c_library.ts";

/**
 * File systems of which `syncfs` brings contents, lengths and names to the disk,
 * as `statfs` has their types: ext2 to ext4, xfs, btrfs. A FUSE server is not
 * asked at all, and overlayfs does not report errors of what is below it.
 */
const TYPES = new Set([0xef53, 0x58465342, 0x9123683e]);

const O_RDONLY_DIRECTORY_CLOEXEC = 0o2200000;
const EBADF = 9;

/** Length of `struct statfs` and place of `f_flags`, where words have 64 bits. */
const STATFS_BYTES = 120;
const STATFS_FLAGS_AT = 80;
const ST_RDONLY = 1;

const SYMBOLS = {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  // On a thread of its own.
  syncfs: { parameters: ["i32"], result: "i32", nonblocking: true },
  fsync: { parameters: ["i32"], result: "i32", nonblocking: true },
  fstatfs: { parameters: ["i32", "buffer"], result: "i32" },
  syncfsHere: { name: "syncfs", parameters: ["i32"], result: "i32" },
  fsyncHere: { name: "fsync", parameters: ["i32"], result: "i32" },
  __errno_location: { parameters: [], result: "pointer" },
} as const;

type Library = Deno.DynamicLibrary<typeof SYMBOLS>;

let library: Library | undefined | null = null;

/** What a {@linkcode WholeFlush} can do. */
export type FileSystem = Pick<
  WholeFlush,
  "device" | "flush" | "flushHere" | "close"
>;

/** A file system that can be flushed as a whole. */
export class WholeFlush {
  readonly #symbols: Library["symbols"];
  readonly #fd: number;
  #running = 0;
  #isClosed = false;

  private constructor(
    symbols: Library["symbols"],
    fd: number,
    /** Number of its device, as `stat` has it. */
    readonly device: number,
  ) {
    this.#symbols = symbols;
    this.#fd = fd;
  }

  /**
   * Begin to watch the file system of a folder for errors.
   *
   * @returns `undefined` when it cannot be flushed as a whole, or not safely.
   */
  static open(folder: string): WholeFlush | undefined {
    if (!canFlushWhole(folder) || !library) return undefined;
    const { dev } = Deno.statSync(folder);
    const name = new TextEncoder().encode(`${folder}\0`);
    const fd = library.symbols.open(name, O_RDONLY_DIRECTORY_CLOEXEC);
    return fd < 0 ? undefined : new WholeFlush(library.symbols, fd, dev);
  }

  /**
   * Flush what was written before this call.
   *
   * @throws `Error` A write failed since the last call, or since it was opened;
   * or nothing is written there any more.
   */
  async flush(): Promise<void> {
    this.#running++;
    try {
      const { syncfs, fsync } = this.#symbols;
      const isFlushed = await syncfs(this.#fd) === 0;
      this.#check(isFlushed, isFlushed && await fsync(this.#fd) === 0);
    } finally {
      this.#running--;
      if (this.#isClosed) this.#let();
    }
  }

  /** As {@linkcode flush}, on this thread. */
  flushHere(): void {
    const { syncfsHere, fsyncHere } = this.#symbols;
    const isFlushed = syncfsHere(this.#fd) === 0;
    this.#check(isFlushed, isFlushed && fsyncHere(this.#fd) === 0);
  }

  /** @param isNamed Whether `fsync` of the folder succeeded after it. */
  #check(isFlushed: boolean, isNamed: boolean): void {
    if (!isFlushed) {
      throw new Error("a write to its file system failed (syncfs)");
    }
    if (!isNamed || this.#isReadOnly()) {
      throw new Error("its file system is read-only, or gave up (syncfs)");
    }
  }

  #isReadOnly(): boolean {
    const bytes = new Uint8Array(STATFS_BYTES);
    if (this.#symbols.fstatfs(this.#fd, bytes) !== 0) return true;
    const flags = new DataView(bytes.buffer)
      .getBigUint64(STATFS_FLAGS_AT, true);
    return (Number(flags) & ST_RDONLY) !== 0;
  }

  /** Let go of the folder, once a flush that runs is over. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#let();
  }

  #let(): void {
    // Until then its number must not become that of another file.
    if (this.#running === 0) this.#symbols.close(this.#fd);
  }
}

/** Whether the file system of a folder can be flushed as a whole, and safely. */
export function canFlushWhole(folder: string): boolean {
  library = library === null ? load() : library;
  return library !== undefined && isKnown(folder);
}

function isKnown(folder: string): boolean {
  try {
    return TYPES.has(statfsSync(folder).type >>> 0);
  } catch {
    return false;
  }
}

function load(): Library | undefined {
  if (!reportsErrors(Deno.osRelease())) return undefined;
  const opened = openCLibrary(SYMBOLS);
  // A sandbox may forbid the call: that is not to be taken for a bad disk.
  if (opened === undefined || errorOfNothing(opened) === EBADF) return opened;
  opened.close();
  return undefined;
}

/** What `syncfs` says of a file that is not open. */
function errorOfNothing({ symbols }: Library): number {
  symbols.syncfsHere(-1);
  const place = symbols.__errno_location();
  return place === null ? 0 : new Deno.UnsafePointerView(place).getInt32();
}

/** Whether `syncfs` of this system reports errors. */
export function reportsErrors(release: string): boolean {
  const [major = 0, minor = 0] = release.split(".", 2).map(Number);
  return major > 5 || major === 5 && minor >= 8;
}
