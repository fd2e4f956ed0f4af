/**
 * Content that is read a piece at a time, as its client takes it: for times when
 * many clients are slow. Each piece is checked with the whole block in which it
 * lies, so it costs more reading, and little memory.
 *
 * @module
 */

import { KIB } from "@kedge/schema";
import type { FileEntry } from "@kedge/schema/change";
import type { FileOperations } from "../operation_ports.ts";
import type { ByteSpan } from "../ports.ts";

/** Longest piece, in bytes; pieces never cross its multiples, nor a block. */
export const CONTENT_PIECE_BYTES: number = 256 * KIB;

/**
 * Read a part of a file in pieces.
 *
 * @returns The pieces; the first one is here already.
 * @throws {Problem} As `read` does. A later failure is one of the stream.
 */
export async function contentPieces(
  operations: Pick<FileOperations, "read">,
  entry: FileEntry,
  span: ByteSpan,
): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const end = span.from + span.lengthBytes;
  let from = span.from;
  const next = async () => {
    const border = from - from % CONTENT_PIECE_BYTES + CONTENT_PIECE_BYTES;
    const lengthBytes = Math.min(border, end) - from;
    const content = await operations.read(entry, { from, lengthBytes });
    from += lengthBytes;
    const bytes = content instanceof Uint8Array
      ? content
      : await new Response(content).bytes();
    // Of a whole block only this part waits for the client.
    return bytes.length === bytes.buffer.byteLength ? bytes : bytes.slice();
  };
  let first: Uint8Array<ArrayBuffer> | undefined = await next();
  return new ReadableStream({
    async pull(controller) {
      if (first === undefined && from === end) return controller.close();
      controller.enqueue(first ?? await next());
      first = undefined;
    },
  }, { highWaterMark: 0 });
}
