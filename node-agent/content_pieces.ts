/**
 * Content that is read a piece at a time, as its client takes it: for times when
 * many clients are slow. Each piece is checked with the whole block in which it
 * lies, so it costs more reading, and little memory. Used by every door through
 * which content leaves.
 *
 * @module
 */

import { KIB, MIB } from "@kedge/schema";
import type { FileEntry } from "@kedge/schema/change";
import type { FileContent } from "./operation_ports.ts";
import type { ByteSpan } from "./ports.ts";
import { Turns } from "./turns.ts";

/** Longest piece, in bytes; pieces never cross its multiples, nor a block. */
export const CONTENT_PIECE_BYTES: number = 256 * KIB;

/**
 * Most of an answer's content that is in memory at once when it is not read so,
 * in bytes: a block of the file, and what was taken from it.
 */
export const CONTENT_HELD_BYTES_MAX: number = 2 * MIB;
/** Content on its way to clients from which on it is read in short pieces. */
const CROWDED_BYTES: number = 64 * MIB;

/** Pieces that are read at once: each with a block of its file in memory. */
const READS_AT_ONCE = 16;
const reads = new Turns(READS_AT_ONCE);
/** A read that takes longer hangs, in ms: others need not wait for its disk. */
const TURN_MS_MAX = 5000;

/** Reads parts of files. */
export interface PartReader {
  /** As `FileOperations.read`. */
  read(
    entry: FileEntry,
    span: ByteSpan,
  ): FileContent | Promise<FileContent>;
}

/** What is on its way to the clients of one door. */
export class SendingContent {
  /** Content that is in memory on its way to clients, in bytes. */
  sendingBytes = 0;

  /** Whether clients are so many and so slow that memory is scarce. */
  get isCrowded(): boolean {
    return this.sendingBytes > CROWDED_BYTES;
  }
}

/**
 * A short part of a file, by itself: of the whole block with which it was read
 * nothing waits for the client.
 */
export function withoutBlock(
  bytes: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  const isShort = bytes.length <= CONTENT_PIECE_BYTES;
  const hasBlock = bytes.buffer.byteLength > CONTENT_PIECE_BYTES;
  return isShort && hasBlock ? bytes.slice() : bytes;
}

/**
 * Read a part of a file in pieces.
 *
 * @returns The pieces; the first one is here already.
 * @throws {Problem} As `read` does. A later failure is one of the stream.
 */
export async function contentPieces(
  operations: PartReader,
  entry: FileEntry,
  span: ByteSpan,
): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const end = span.from + span.lengthBytes;
  let from = span.from;
  const read = async () => {
    const border = from - from % CONTENT_PIECE_BYTES + CONTENT_PIECE_BYTES;
    const lengthBytes = Math.min(border, end) - from;
    const content = await operations.read(entry, { from, lengthBytes });
    from += lengthBytes;
    const bytes = content instanceof Uint8Array
      ? content
      : await new Response(content).bytes();
    return withoutBlock(bytes);
  };
  const next = () => reads.run(read, TURN_MS_MAX);
  let first: Uint8Array<ArrayBuffer> | undefined = await next();
  return new ReadableStream({
    async pull(controller) {
      if (first === undefined && from === end) return controller.close();
      controller.enqueue(first ?? await next());
      first = undefined;
    },
  }, { highWaterMark: 0 });
}
