/** Types of the functions of `@std/streams` that Kedge uses. */

/** Read a whole stream into one buffer. Only for bounded streams. */
export declare function toArrayBuffer(
  stream: ReadableStream<Uint8Array>,
): Promise<ArrayBuffer>;

/** Read a whole stream of text. Only for bounded streams. */
export declare function toText(stream: ReadableStream): Promise<string>;

/** Split a stream of text at line ends. */
export declare class TextLineStream extends TransformStream<string, string> {
  constructor(options?: { allowCR?: boolean });
}

/** Cut a byte stream into chunks of one size; the last may be shorter. */
export declare class FixedChunkStream
  extends TransformStream<Uint8Array, Uint8Array> {
  constructor(size: number);
}
