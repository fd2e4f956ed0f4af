/**
 * Bytes of a regular file, or of a part of one, and nothing else: no link, no
 * device, no pipe is ever opened.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import type { Pace } from "./pace.ts";

const PIECE_BYTES = 1 << 18;

/** A source that is not what it was said to be. */
export class SourceFault extends Error {
  /** For programs. */
  readonly reason: string;

  /** Say it for programs and for people. */
  constructor(reason: string, detail: string) {
    super(detail);
    this.reason = reason;
  }
}

/**
 * The text of a short regular file; no link, device or pipe is opened.
 *
 * @returns `undefined` when it is something else, or longer.
 * @throws What the system says.
 */
export async function shortText(
  path: string,
  bytesMax: number,
): Promise<string | undefined> {
  const { isFile, size } = await Deno.lstat(path);
  if (!isFile || size > bytesMax) return undefined;
  return await Deno.readTextFile(path);
}

/** Open bytes. */
export class SourceSpan implements Disposable {
  /** How many there are. */
  readonly sizeBytes: number;
  readonly #file: Deno.FsFile;
  readonly #from: number;
  readonly #pace: Pace;

  private constructor(
    file: Deno.FsFile,
    where: { readonly from: number; readonly sizeBytes: number },
    pace: Pace,
  ) {
    this.#file = file;
    this.#from = where.from;
    this.sizeBytes = where.sizeBytes;
    this.#pace = pace;
  }

  /**
   * Open a regular file.
   *
   * @param part In bytes; the whole file when missing.
   * @throws {SourceFault} When it is something else, or ends before the part.
   */
  static async open(
    path: string,
    pace: Pace,
    part?: { readonly from: number; readonly sizeBytes: number },
  ): Promise<SourceSpan> {
    const before = await Deno.lstat(path);
    if (!before.isFile) {
      throw new SourceFault("not-a-regular-file", "it is not a regular file");
    }
    const file = await Deno.open(path);
    try {
      const now = await file.stat();
      if (now.ino !== before.ino || now.dev !== before.dev) {
        throw new SourceFault("changed", "it was replaced while it was opened");
      }
      const where = part ?? { from: 0, sizeBytes: now.size };
      if (where.from + where.sizeBytes > now.size) {
        throw new SourceFault("wrong-size", `it ends after ${now.size} bytes`);
      }
      return new SourceSpan(file, where, pace);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** All bytes at once. @throws {SourceFault} */
  async whole(): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(this.sizeBytes);
    let at = 0;
    for await (const piece of this.#pieces()) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  /** The bytes one after the other; whoever reads owns the pieces. */
  stream(): ReadableStream<Uint8Array> {
    return ReadableStream.from(this.#pieces());
  }

  /** CRC-32 of all bytes. @throws {SourceFault} */
  async checksum(): Promise<number> {
    let sum = 0;
    for await (const piece of this.#pieces()) sum = crc32(piece, sum);
    return sum;
  }

  async *#pieces(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    await this.#file.seek(this.#from, Deno.SeekMode.Start);
    for (let left = this.sizeBytes; left > 0;) {
      const piece = new Uint8Array(Math.min(left, PIECE_BYTES));
      const count = await this.#file.read(piece);
      if (count === null) {
        throw new SourceFault("changed", "it became shorter while it was read");
      }
      left -= count;
      await this.#pace.take(count);
      yield count === piece.length ? piece : piece.slice(0, count);
    }
  }

  /** Close the file. */
  [Symbol.dispose](): void {
    this.#file.close();
  }
}
