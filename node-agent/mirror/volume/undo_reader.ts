/**
 * Reads undo files: lists them, and writes what they keep back into a volume.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import {
  decodeUndoHead,
  decodeUndoRecord,
  UNDO_CONTENT_BYTES_MAX,
  UNDO_HEAD_BYTES,
  UNDO_RECORD_BYTES,
  type UndoHead,
} from "./undo_layout.ts";

/** Ending of the name of an undo file. */
export const UNDO_SUFFIX = ".undo";

/** A piece of what was replaced. */
export interface UndoPiece {
  readonly offset: number;
  /** Valid until the next piece is asked for. */
  readonly content: Uint8Array;
}

/** A file without a sound head: not an undo file, or one that was cut early. */
export class UndoHeadError extends Error {
  override readonly name = "UndoHeadError";
}

/** An undo file that is open for reading. */
export class UndoReader implements Disposable {
  readonly head: UndoHead;
  readonly #file: Deno.FsFile;
  readonly #content = new Uint8Array(UNDO_CONTENT_BYTES_MAX);
  #isWhole = false;
  #endBytes = UNDO_HEAD_BYTES;

  /** @throws {UndoHeadError} When it is no undo file. */
  constructor(readonly path: string) {
    this.#file = Deno.openSync(path);
    const bytes = new Uint8Array(UNDO_HEAD_BYTES);
    const head = fill(this.#file, bytes) ? decodeUndoHead(bytes) : undefined;
    if (head === undefined) {
      this.#file.close();
      throw new UndoHeadError(
        `"${path}" is not an undo file, or its head is damaged`,
      );
    }
    this.head = head;
  }

  /** After all pieces: whether the file has its end. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Behind the last sound record so far, in bytes. */
  get endBytes(): number {
    return this.#endBytes;
  }

  /** Whether the last record says that this is the end; reads nothing else. */
  hasEnd(): boolean {
    const size = this.#file.statSync().size;
    if (size < UNDO_HEAD_BYTES + UNDO_RECORD_BYTES) return false;
    const bytes = new Uint8Array(UNDO_RECORD_BYTES);
    this.#file.seekSync(size - bytes.length, Deno.SeekMode.Start);
    return fill(this.#file, bytes) &&
      decodeUndoRecord(bytes, this.head.sizeBytes)?.lengthBytes === 0;
  }

  /** Every piece whose checksum is right, in the order it was kept. */
  *pieces(): Generator<UndoPiece> {
    this.#endBytes = UNDO_HEAD_BYTES;
    this.#isWhole = false;
    this.#file.seekSync(UNDO_HEAD_BYTES, Deno.SeekMode.Start);
    const bytes = new Uint8Array(UNDO_RECORD_BYTES);
    while (fill(this.#file, bytes)) {
      const record = decodeUndoRecord(bytes, this.head.sizeBytes);
      if (record === undefined) return;
      if (record.lengthBytes === 0) {
        this.#isWhole = true;
        return;
      }
      const content = this.#content.subarray(0, record.lengthBytes);
      if (!fill(this.#file, content)) return;
      if (crc32(content) !== record.contentCrc) return;
      this.#endBytes += UNDO_RECORD_BYTES + content.length;
      yield { offset: record.offset, content };
    }
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** What people are told of an undo file. */
export interface UndoSummary extends UndoHead {
  readonly path: string;
  /** What it keeps, in bytes. */
  readonly keptBytes: number;
  /** False: the resync that replaces the data has not come to its end. */
  readonly isWhole: boolean;
}

/** The undo files of a folder, oldest first; others are left out. */
export function listUndoFiles(dir: string): UndoSummary[] {
  const found: UndoSummary[] = [];
  for (const { name, isFile } of entriesOf(dir)) {
    if (!isFile || !name.endsWith(UNDO_SUFFIX)) continue;
    const path = `${dir}/${name}`;
    try {
      using reader = new UndoReader(path);
      let keptBytes = 0;
      for (const { content } of reader.pieces()) keptBytes += content.length;
      const { head, isWhole } = reader;
      found.push({ ...head, path, keptBytes, isWhole });
    } catch {
      // Not an undo file, whatever its name is.
    }
  }
  return found.sort((a, b) => a.createdMs - b.createdMs);
}

/** Where to restore to: a Primary volume's export, or a detached disk. */
export interface UndoTarget {
  /** In bytes. */
  readonly sizeBytes: number;
  write(offset: number, content: Uint8Array): Promise<void>;
  /** Make it stable. */
  flush(): Promise<void>;
}

/**
 * Write everything back that a file keeps, by normal writes: the mirror carries
 * them to the peer as any other. Nothing else of the volume changes, so data
 * that was written after the resync stays where the file keeps nothing.
 *
 * @returns How many bytes were written; not whole: the resync was cut, or the
 * file is damaged, and what would follow is not there.
 * @throws {Error} When the file is for a larger volume, or a write fails; the
 * file stays, restoring can be done again.
 */
export async function restoreUndo(
  path: string,
  target: UndoTarget,
): Promise<{ readonly writtenBytes: number; readonly isWhole: boolean }> {
  using reader = new UndoReader(path);
  if (reader.head.sizeBytes > target.sizeBytes) {
    throw new Error(
      `"${path}" is of a volume of ${reader.head.sizeBytes} bytes, this one ` +
        `has ${target.sizeBytes}: restore it to the volume it comes from`,
    );
  }
  let writtenBytes = 0;
  for (const { offset, content } of reader.pieces()) {
    await target.write(offset, content);
    writtenBytes += content.length;
  }
  await target.flush();
  return { writtenBytes, isWhole: reader.isWhole };
}

function fill(file: Deno.FsFile, into: Uint8Array): boolean {
  for (let done = 0; done < into.length;) {
    const count = file.readSync(into.subarray(done));
    if (count === null) return false;
    done += count;
  }
  return true;
}

function entriesOf(dir: string): Iterable<Deno.DirEntry> {
  try {
    return [...Deno.readDirSync(dir)];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
