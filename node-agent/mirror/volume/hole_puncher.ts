/**
 * Punches holes into a file or block device, where the system can and this
 * process may call it (`--allow-ffi`). A hole reads as zeroes.
 *
 * Optional: without it zeroes are written, and TRIM does nothing.
 *
 * Source: fallocate(2), Linux.
 *
 * @module
 */

import { openCLibrary } from "../../c_library.ts";

const O_RDWR = 2;
const O_CLOEXEC = 0o2000000;
const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;

const SYMBOLS = {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  fallocate: { parameters: ["i32", "i32", "i64", "i64"], result: "i32" },
} as const;

/** See the module comment. */
export class HolePuncher {
  readonly #library: Deno.DynamicLibrary<typeof SYMBOLS>;
  readonly #fd: number;
  #isClosed = false;

  private constructor(
    library: Deno.DynamicLibrary<typeof SYMBOLS>,
    fd: number,
  ) {
    this.#library = library;
    this.#fd = fd;
  }

  /** Open a disk for it; undefined: it cannot be done here. */
  static open(path: string): HolePuncher | undefined {
    const library = openCLibrary(SYMBOLS);
    if (library === undefined) return undefined;
    const name = new TextEncoder().encode(`${path}\0`);
    const fd = library.symbols.open(name, O_RDWR | O_CLOEXEC);
    if (fd >= 0) return new HolePuncher(library, fd);
    library.close();
    return undefined;
  }

  /**
   * Make a hole; durable after the next flush of the disk.
   *
   * @returns False: this disk cannot, or not there. Write zeroes instead.
   */
  punch(offset: number, lengthBytes: number): boolean {
    if (this.#isClosed) return false;
    const { fallocate } = this.#library.symbols;
    const mode = PUNCH_HOLE | KEEP_SIZE;
    return fallocate(this.#fd, mode, BigInt(offset), BigInt(lengthBytes)) === 0;
  }

  /** Let go of the disk. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#library.symbols.close(this.#fd);
    this.#library.close();
  }
}
