/**
 * How the content of an answer is read: as the store gives it, and in short
 * pieces while so many clients are slow that memory is scarce.
 *
 * The server holds the bytes that a client does not take, and tells only of
 * streams when they have left (Deno 2.9.6). So long content always leaves as one.
 *
 * @module
 */

import type { FileEntry } from "@kedge/schema/change";
import {
  CONTENT_HELD_BYTES_MAX,
  CONTENT_PIECE_BYTES,
  contentPieces,
  type PartReader,
  SendingContent,
  withoutBlock,
} from "../../content_pieces.ts";
import type { ByteSpan, LocalFiles } from "../../ports.ts";
import type { SpanContent } from "./byteranges.ts";
import type { Caller } from "./link_gate.ts";

/** The files, as they are read for answers. */
export interface AnswerFiles extends PartReader, Pick<LocalFiles, "isLean"> {}

/** The answers of one door that are on their way. */
export class Outgoing {
  readonly #files: AnswerFiles;
  readonly #sending = new SendingContent();

  /** Content comes from these. */
  constructor(files: AnswerFiles) {
    this.#files = files;
  }

  /**
   * Begin an answer with these parts of a file, which are sent one by one.
   *
   * @param caller Who takes them; of one that cannot tell when they have left,
   * nothing is counted.
   * @returns Reads one of the parts.
   */
  begin(
    entry: FileEntry,
    spans: readonly ByteSpan[],
    caller: Caller | undefined,
  ): (span: ByteSpan) => Promise<SpanContent> {
    const longest = spans.reduce(
      (max, one) => Math.max(max, one.lengthBytes),
      0,
    );
    const isLean = longest <= CONTENT_PIECE_BYTES ||
      spans.every((span) => this.#files.isLean?.(entry, span) === true);
    if (isLean) {
      return async (span) => alone(await this.#files.read(entry, span));
    }
    if (this.#sending.isCrowded) {
      this.#hold(CONTENT_PIECE_BYTES, caller);
      return (span) => contentPieces(this.#files, entry, span);
    }
    this.#hold(Math.min(longest, CONTENT_HELD_BYTES_MAX), caller);
    return async (span) => asStream(await this.#files.read(entry, span));
  }

  /** So much memory until the answer has left. */
  #hold(bytes: number, caller: Caller | undefined): void {
    if (caller?.left === undefined) return;
    this.#sending.sendingBytes += bytes;
    void caller.left().then(() => {
      this.#sending.sendingBytes -= bytes;
    });
  }
}

function alone(content: SpanContent): SpanContent {
  return content instanceof Uint8Array ? withoutBlock(content) : content;
}

function asStream(content: SpanContent): SpanContent {
  if (content instanceof ReadableStream) return content;
  let rest: Uint8Array<ArrayBuffer> | undefined = content;
  return new ReadableStream({
    pull(controller) {
      if (rest === undefined) return controller.close();
      controller.enqueue(rest);
      rest = undefined;
    },
  }, { highWaterMark: 0 });
}
