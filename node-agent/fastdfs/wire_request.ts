/**
 * One request: its header, and its body as far as it was read. No more is read
 * than was announced, and nothing is allocated for what did not fit a limit.
 *
 * @module
 */

import { INLINE_BODY_BYTES_MAX } from "@kedge/schema";
import type { Header } from "@kedge/schema/wire/fastdfs";
import type { FileContent, IncomingBytes } from "../operation_ports.ts";
import type { WireConnection } from "./wire_connection.ts";

/** Least room for a piece of long content, in bytes. */
const PIECE_BYTES_MIN = 16 * 1024;
/** Most room for a piece: few reads, and few writes to the disk. */
const PIECE_BYTES_MAX = 512 * 1024;
/** So much less room than was sent: who sends nothing takes up little. */
const PIECE_PART = 8;

/** What is answered. */
export interface Reply {
  /** 0 or an errno. */
  readonly status: number;
  /** Short body. */
  readonly body?: Uint8Array | undefined;
  /** Content of a file instead. */
  readonly content?: {
    readonly lengthBytes: number;
    readonly bytes: FileContent;
  };
  /** Whether the connection ends, with or without an answer. */
  readonly end?: "after" | "silently" | undefined;
}

/** Answers a request. */
export type Handler = (request: WireRequest) => Promise<Reply> | Reply;

/** See the module comment. */
export class WireRequest {
  readonly header: Header;
  /** The file ID that it is about, once known. */
  file = "";
  readonly #connection: WireConnection;
  #leftBytes: number;
  #contentBytes = 0;
  #reading: Promise<unknown> = Promise.resolve();

  /** A request whose body was not touched yet. */
  constructor(header: Header, connection: WireConnection) {
    this.header = header;
    this.#connection = connection;
    this.#leftBytes = header.bodyBytes;
  }

  /** Bytes of the body that were not read. */
  get leftBytes(): number {
    return this.#leftBytes;
  }

  /** Content of a file that came with it, in bytes. */
  get contentBytes(): number {
    return this.#contentBytes;
  }

  /** When no read is under way any more. */
  async settled(): Promise<void> {
    await this.#reading.catch(() => {});
  }

  /**
   * The next bytes of the body.
   *
   * @param lengthBytes Bounded by the caller.
   * @returns `undefined` when the body is shorter.
   */
  async take(lengthBytes: number): Promise<Uint8Array | undefined> {
    if (lengthBytes > this.#leftBytes) return undefined;
    return await this.#take(lengthBytes);
  }

  /** The whole rest, when it is no longer than a limit. */
  async rest(bytesMax: number): Promise<Uint8Array | undefined> {
    if (this.#leftBytes > bytesMax) return undefined;
    return await this.#take(this.#leftBytes);
  }

  /** The whole rest as content, however long. */
  async content(): Promise<IncomingBytes> {
    const sizeBytes = this.#leftBytes;
    this.#contentBytes = sizeBytes;
    const body = sizeBytes <= INLINE_BODY_BYTES_MAX
      ? await this.#take(sizeBytes)
      : this.#stream();
    return { body, sizeBytes };
  }

  #stream(): ReadableStream<Uint8Array> {
    const sizeBytes = this.#leftBytes;
    return new ReadableStream({
      pull: async (controller) => {
        if (this.#leftBytes === 0) return controller.close();
        const sentBytes = sizeBytes - this.#leftBytes;
        const room = Math.max(PIECE_BYTES_MIN, sentBytes / PIECE_PART);
        const count = Math.floor(
          Math.min(room, PIECE_BYTES_MAX, this.#leftBytes),
        );
        controller.enqueue(await this.#take(count));
      },
    }, { highWaterMark: 0 });
  }

  async #take(lengthBytes: number): Promise<Uint8Array<ArrayBuffer>> {
    const reading = this.#connection.take(lengthBytes);
    this.#reading = reading;
    const bytes = await reading;
    this.#leftBytes -= lengthBytes;
    return bytes;
  }
}
