/**
 * The body of a multi-range answer: `multipart/byteranges` (RFC 9110 §14.6).
 *
 * @module
 */

import type { ByteSpan } from "../../ports.ts";

/** Content of one span, as `LocalFiles.read` gives it. */
export type SpanContent =
  | Uint8Array<ArrayBuffer>
  | ReadableStream<Uint8Array<ArrayBuffer>>;

/** What the parts are made of. */
export interface ByteRanges {
  /** Separates the parts; must not occur in the content. */
  readonly boundary: string;
  /** Content type of the file. */
  readonly type: string;
  /** Length of the file, in bytes. */
  readonly sizeBytes: number;
  /** Parts, in the order they are sent. */
  readonly spans: readonly ByteSpan[];
}

const TEXT = new TextEncoder();

/** Length of the whole body, in bytes. */
export function byteRangesLength(ranges: ByteRanges): number {
  const parts = ranges.spans.map((span) =>
    partHead(ranges, span).length + span.lengthBytes
  );
  return parts.reduce((sum, bytes) => sum + bytes, tail(ranges).length);
}

/**
 * The body, read piece by piece as the client takes it.
 *
 * @param ranges What to send.
 * @param first Content of the first span: read before the answer began, so that
 * a damaged copy could still be repaired.
 * @param read Reads the content of another span.
 * @returns A stream that fails when a read fails: the connection then breaks,
 * and no client takes a part for the whole.
 */
export function byteRangesBody(
  ranges: ByteRanges,
  first: SpanContent,
  read: (span: ByteSpan) => Promise<SpanContent>,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const pieces = piecesOf(ranges, first, read);
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await pieces.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await pieces.return(undefined);
    },
  });
}

async function* piecesOf(
  ranges: ByteRanges,
  first: SpanContent,
  read: (span: ByteSpan) => Promise<SpanContent>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  for (const [index, span] of ranges.spans.entries()) {
    yield partHead(ranges, span);
    const content = index === 0 ? first : await read(span);
    if (content instanceof Uint8Array) yield content;
    else yield* content;
  }
  yield tail(ranges);
}

function partHead(ranges: ByteRanges, span: ByteSpan): Uint8Array<ArrayBuffer> {
  return TEXT.encode(
    `\r\n--${ranges.boundary}\r\ncontent-type: ${ranges.type}\r\n` +
      `content-range: ${contentRange(span, ranges.sizeBytes)}\r\n\r\n`,
  );
}

function tail(ranges: ByteRanges): Uint8Array<ArrayBuffer> {
  return TEXT.encode(`\r\n--${ranges.boundary}--\r\n`);
}

/** A `Content-Range` header: positions are inclusive. */
export function contentRange(span: ByteSpan, sizeBytes: number): string {
  return `bytes ${span.from}-${span.from + span.lengthBytes - 1}/${sizeBytes}`;
}
