/**
 * Reads content and lets out only bytes that were checked.
 *
 * Small files are read whole and compared with their CRC-32. So are files of one
 * block that are asked for whole: beside the event loop, unless they were read or
 * written a moment ago and are almost surely still in memory, for a thread costs
 * more than such a read. Where a disk is slow nothing is read in the event loop
 * (`slow_disks.ts`). Larger ones are compared block by block, before each block
 * leaves; a file that was read to its end without fault a moment ago, and has not
 * been touched since, is streamed natively: its checked bytes are still in
 * memory. Later it is checked again, since a medium may rot without any sign on
 * the file.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import {
  CHECKSUM_BLOCK_BYTES,
  INLINE_BODY_BYTES_MAX,
  KIB,
  Problem,
} from "@kedge/schema";
import type { FileRow } from "@kedge/schema/db";
import type { ByteSpan, ReadRoom } from "../ports.ts";
import { type HereOrLater, whenHere } from "../when_here.ts";
import { unpackBlocks } from "./crc32.ts";
import {
  describeError,
  isContentFault,
  readFull,
  readFullSync,
} from "./disk.ts";
import { type Kept, keptContentAside } from "./kept_content.ts";
import { Lately } from "./lately.ts";
import type { Layout } from "./layout.ts";
import { SlowDisks } from "./slow_disks.ts";

/** Content on its way out. */
export type Body =
  | Uint8Array<ArrayBuffer>
  | ReadableStream<Uint8Array<ArrayBuffer>>;

/** A file to read, and what is known about it. */
export interface Readable {
  /** Where it lies. */
  readonly path: string;
  /** What its bytes must be. */
  readonly row: FileRow;
  /** Called when they are not. */
  readonly onDamage: (why: string) => void;
}

/** When every byte of a file was right. */
interface Checked {
  readonly print: string;
  readonly atMs: number;
}

/** How long a check counts, in ms: the bytes are surely still in memory. */
const CHECK_LIFE_MS = 10_000;
/** Files remembered as being in memory. */
const WARM_COUNT_MAX = 20_000;
/**
 * A block leaves in copies of this size, in bytes. They come from the heap and are
 * used again; a fresh megabyte for every block is mapped by the allocator, and its
 * 256 page faults cost as much as reading it (100 MiB: 115 ms of processor time
 * that way, 50 ms this way).
 */
const PIECE_BYTES = 64 * KIB - 64;
/** Files remembered as checked. */
const CHECKED_COUNT_MAX = 20_000;

/** Reads files of one store. */
export class Reader {
  /** Fingerprint and time when every byte was right, by file ID. */
  readonly #checked = new Lately<Checked>(CHECKED_COUNT_MAX);
  /** When a file of one block was read or written last, by its ID. */
  readonly #warm = new Lately<number>(WARM_COUNT_MAX);
  readonly #nowMs: () => number;
  readonly #disks: SlowDisks;

  /**
   * @param nowMs Monotonic time, in milliseconds.
   * @param disks Says which store paths are slow.
   */
  constructor(nowMs: () => number, disks: SlowDisks = new SlowDisks(nowMs)) {
    this.#nowMs = nowMs;
    this.#disks = disks;
  }

  /** A file was just written: its bytes are in memory. */
  wrote(id: string): void {
    this.#warm.set(id, this.#nowMs());
  }

  /** Whether it was read without fault a moment ago: it is streamed natively. */
  isChecked({ id, appender }: { id: string; appender: boolean }): boolean {
    const atMs = this.#checked.get(id)?.atMs ?? -Infinity;
    return !appender && this.#nowMs() - atMs < CHECK_LIFE_MS;
  }

  /**
   * Read a part of a file.
   *
   * @param span Inside the file.
   * @param room Where a file that is read whole may be put.
   * @returns At once when it was read in the event loop.
   * @throws {Problem} `damaged`, or `unavailable` when the read itself failed;
   * at once as well.
   */
  read(
    file: Readable,
    span: ByteSpan,
    room?: ReadRoom,
  ): Body | Promise<Body> {
    if (span.lengthBytes === 0) return new Uint8Array(0);
    const { sizeBytes, appender, pathIndex } = file.row;
    const isWhole = span.lengthBytes === sizeBytes;
    const isSlow = this.#disks.isSuspect(pathIndex);
    if (sizeBytes <= INLINE_BODY_BYTES_MAX) {
      if (isWhole && !isSlow) return this.#readHere(file, room);
      const whole = isSlow ? this.#readWhole(file) : this.#readHere(file);
      const end = span.from + span.lengthBytes;
      return whenHere(whole, (bytes) => bytes.subarray(span.from, end));
    }
    // An appender may grow while it is read.
    if (!isWhole || sizeBytes > CHECKSUM_BLOCK_BYTES || appender !== 0) {
      return this.#readLarge(file, span);
    }
    return this.#readBlock(file, isSlow, room);
  }

  /** A file of one block. */
  #readBlock(
    file: Readable,
    isSlow: boolean,
    room?: ReadRoom,
  ): HereOrLater<Uint8Array<ArrayBuffer>> {
    const { id } = file.row;
    const atMs = this.#warm.get(id) ?? -Infinity;
    const isWarm = this.#nowMs() - atMs < CHECK_LIFE_MS && !isSlow;
    const whole = isWarm ? this.#readHere(file, room) : this.#readWhole(file);
    return whenHere(whole, (bytes) => {
      this.#warm.set(id, this.#nowMs());
      return bytes;
    });
  }

  /**
   * The content that no disk has taken yet, wherever it lies.
   *
   * @returns `undefined` when it is in a staging file, or not there.
   * @throws {Problem} `unavailable` when the disk hangs.
   */
  async kept(
    layout: Layout,
    row: FileRow,
    kept: Kept,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const work = () => keptContentAside(layout, row, kept);
    if (kept[0].payload !== null) return await work(); // needs no disk of files
    return await this.#disks.read(row.pathIndex, work);
  }

  /** When a file was written last, in Unix seconds, if the disk says so. */
  async changedS(path: string, pathIndex: number): Promise<number | undefined> {
    try {
      const look = () => Deno.stat(path);
      const { mtime } = await this.#disks.read(pathIndex, look);
      return mtime === null ? undefined : Math.floor(mtime.getTime() / 1000);
    } catch {
      return undefined;
    }
  }

  #readHere(file: Readable, room?: ReadRoom): Uint8Array<ArrayBuffer> {
    const beganMs = this.#nowMs();
    const bytes = readNow(file, room);
    this.#disks.readHere(file.row.pathIndex, beganMs);
    return bytes;
  }

  async #readWhole(file: Readable): Promise<Uint8Array<ArrayBuffer>> {
    const { sizeBytes, crc32: wanted, pathIndex, appender } = file.row;
    // Behind an appender's end may lie what was never stored, however long.
    const work = appender === 0
      ? () => Deno.readFile(file.path)
      : () => readStart(file.path, sizeBytes);
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      bytes = await this.#disks.read(pathIndex, work);
    } catch (error) {
      throw unreadable(file, error);
    }
    if (bytes.length !== sizeBytes) {
      throw damage(file, `${bytes.length} of ${sizeBytes} bytes`);
    }
    if (crc32(bytes) !== wanted) throw damage(file, "the checksum is wrong");
    return bytes;
  }

  async #readLarge(file: Readable, span: ByteSpan): Promise<Body> {
    const { sizeBytes, id, pathIndex } = file.row;
    let handle: Deno.FsFile;
    let info: Deno.FileInfo;
    try {
      handle = await this.#disks.read(pathIndex, () => Deno.open(file.path));
      info = await handle.stat();
    } catch (error) {
      throw unreadable(file, error);
    }
    const print = fingerprint(file.row, info);
    const checked = this.#checked.get(id);
    const isChecked = checked?.print === print &&
      this.#nowMs() - checked.atMs < CHECK_LIFE_MS;
    const reachesEnd = span.from + span.lengthBytes === sizeBytes;
    try {
      // An appender may grow while it is streamed.
      const isFixed = file.row.appender === 0 && info.size === sizeBytes;
      if (isChecked && reachesEnd && isFixed) {
        await handle.seek(span.from, Deno.SeekMode.Start);
        return handle.readable;
      }
      if (info.size < sizeBytes) {
        throw damage(file, `${info.size} of ${sizeBytes} bytes`);
      }
      const blocks = new CheckedBlocks(handle, file, this.#disks);
      await blocks.start(span);
      const atMs = this.#nowMs();
      return blocks.stream(() => {
        if (span.lengthBytes !== sizeBytes) return;
        this.#checked.set(id, { print, atMs });
      });
    } catch (error) {
      handle.close();
      throw error;
    }
  }
}

/** Read a whole file on this thread. */
function readNow(file: Readable, room?: ReadRoom): Uint8Array<ArrayBuffer> {
  const { sizeBytes, crc32: wanted } = file.row;
  const bytes = room?.(sizeBytes) ?? new Uint8Array(sizeBytes);
  let count: number;
  try {
    const handle = Deno.openSync(file.path);
    try {
      count = readFullSync(handle, bytes);
    } finally {
      handle.close();
    }
  } catch (error) {
    throw unreadable(file, error);
  }
  if (count < sizeBytes) throw damage(file, `${count} of ${sizeBytes} bytes`);
  if (crc32(bytes) !== wanted) throw damage(file, "the checksum is wrong");
  return bytes;
}

/** The first bytes of a file, or all when it is shorter. */
async function readStart(
  path: string,
  lengthBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  using file = await Deno.open(path);
  const bytes = new Uint8Array(lengthBytes);
  return bytes.subarray(0, await readFull(file, bytes));
}

/** Whatever changes when somebody touches the file. */
function fingerprint(row: FileRow, info: Deno.FileInfo): string {
  const { dev, ino, size, ctime, mtime } = info;
  const facts = [row.epoch, row.version, dev, ino, size, +(ctime ?? 0)];
  return [...facts, +(mtime ?? 0)].join(":");
}

/** Blocks of an open file, each compared before it is given out. */
class CheckedBlocks {
  readonly #handle: Deno.FsFile;
  readonly #file: Readable;
  readonly #disks: SlowDisks;
  readonly #crcs: readonly number[];
  /** The block that was read last. */
  readonly #block: Uint8Array<ArrayBuffer>;
  #span: ByteSpan = { from: 0, lengthBytes: 0 };
  #next = 0;
  #last = 0;
  #first: Uint8Array<ArrayBuffer> | undefined;

  constructor(handle: Deno.FsFile, file: Readable, disks: SlowDisks) {
    const { sizeBytes, crc32, blockCrcs } = file.row;
    this.#disks = disks;
    this.#handle = handle;
    this.#file = file;
    this.#crcs = unpackBlocks(sizeBytes, crc32, blockCrcs);
    this.#block = new Uint8Array(Math.min(CHECKSUM_BLOCK_BYTES, sizeBytes));
  }

  /** Read the first block, so that a damaged file is refused at once. */
  async start(span: ByteSpan): Promise<void> {
    this.#span = span;
    this.#next = Math.floor(span.from / CHECKSUM_BLOCK_BYTES);
    const end = span.from + span.lengthBytes;
    this.#last = Math.floor((end - 1) / CHECKSUM_BLOCK_BYTES);
    const at = this.#next * CHECKSUM_BLOCK_BYTES;
    await this.#handle.seek(at, Deno.SeekMode.Start);
    this.#first = await this.#read();
  }

  /** The next block, in a buffer that the one after it uses again. */
  async #read(): Promise<Uint8Array<ArrayBuffer>> {
    const index = this.#next++;
    const at = index * CHECKSUM_BLOCK_BYTES;
    const { sizeBytes, pathIndex } = this.#file.row;
    const length = Math.min(CHECKSUM_BLOCK_BYTES, sizeBytes - at);
    const bytes = this.#block.subarray(0, length);
    let count: number;
    try {
      count = await this.#disks
        .read(pathIndex, () => readFull(this.#handle, bytes));
    } catch (error) {
      throw unreadable(this.#file, error);
    }
    if (count < length || crc32(bytes) !== this.#crcs[index]) {
      throw damage(this.#file, `block ${index} is wrong`);
    }
    const from = Math.max(0, this.#span.from - at);
    const end = this.#span.from + this.#span.lengthBytes - at;
    return bytes.subarray(from, Math.min(length, end));
  }

  /** The span as a stream. Takes over the file. */
  stream(onWhole: () => void): Body {
    const first = this.#first;
    if (this.#next > this.#last && first !== undefined) {
      this.#handle.close();
      onWhole();
      return first;
    }
    let isCancelled = false;
    let isReading = false;
    return new ReadableStream({
      pull: async (controller) => {
        isReading = true;
        try {
          const block = this.#first ?? await this.#read();
          isReading = false;
          // Closing under a read would make the read fail, and a good copy
          // look damaged: so the one that comes last closes.
          if (isCancelled) return this.#handle.close();
          for (let at = 0; at < block.length; at += PIECE_BYTES) {
            controller.enqueue(block.slice(at, at + PIECE_BYTES));
          }
          this.#first = undefined;
          if (this.#next <= this.#last) return;
          this.#handle.close();
          onWhole();
          controller.close();
        } catch (error) {
          isReading = false;
          this.#handle.close();
          if (!isCancelled) controller.error(error);
        }
      },
      cancel: () => {
        isCancelled = true;
        if (!isReading) this.#handle.close();
      },
    }, { highWaterMark: 1 });
  }
}

/** A read failed: is it the content, or only this read? */
function unreadable(file: Readable, error: unknown): Problem {
  if (error instanceof Problem) return error;
  const why = describeError(error);
  if (isContentFault(error)) return damage(file, why);
  return new Problem("unavailable", `Cannot read ${file.row.id} now: ${why}`);
}

function damage(file: Readable, why: string): Problem {
  file.onDamage(why);
  return new Problem(
    "damaged",
    `The copy of ${file.row.id} on this node is damaged: ${why}`,
    { id: file.row.id },
  );
}
