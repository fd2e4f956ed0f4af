/**
 * One request: its header, and its body as far as it was read. No more is read
 * than was announced, and nothing is allocated for what did not fit a limit.
 *
 * @module
 */

import { INLINE_BODY_BYTES_MAX } from "@kedge/schema";
import type { Header } from "@kedge/schema/wire/fastdfs";
import { CLIENT_BODY_BYTES_MIN } from "../client_bodies.ts";
import type { FileContent, IncomingBytes } from "../operation_ports.ts";
import { type HereOrLater, whenHere } from "../when_here.ts";
import type { ReplyRoom } from "./reply_rooms.ts";
import type { MaybeBytes, WireConnection } from "./wire_connection.ts";

/** Most room for a piece: one frame to a peer, one write in the event loop. */
const PIECE_BYTES_MAX = 256 * 1024;
/** Room for a piece while {@linkcode ROOM_BYTES} are taken, in bytes. */
const PIECE_BYTES_MIN = 16 * 1024;
/** Room that is given freely to pieces of all connections, in bytes. */
const ROOM_BYTES = 64 * 1024 * 1024;

/**
 * Room that content waits in, of all connections of a door: whole content until
 * it was answered for, a piece until it was passed on.
 */
export interface PieceRoom {
  takenBytes: number;
}

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
    /** Most of it that is in memory at once, in bytes; missing: two blocks. */
    readonly heldBytes?: number;
  };
  /** Whether the connection ends, with or without an answer. */
  readonly end?: "after" | "silently" | undefined;
}

/** Answers a request. */
export type Handler = (request: WireRequest) => Promise<Reply> | Reply;

/** Where bytes come from. */
export type ByteTaker = Pick<WireConnection, "take" | "takeInto" | "glance">;

/** See the module comment. */
export class WireRequest {
  readonly header: Header;
  /** The file ID that it is about, once known. */
  file = "";
  /** Where content that is answered may be put. */
  readonly replyRoom: ReplyRoom | undefined;
  readonly #connection: ByteTaker;
  readonly #room: PieceRoom;
  #leftBytes: number;
  #contentBytes = 0;
  #wholeBytes = 0;
  #reading: Promise<unknown> | undefined;

  /** A request whose body was not touched yet. */
  constructor(
    header: Header,
    connection: ByteTaker,
    room: PieceRoom,
    replyRoom?: ReplyRoom,
  ) {
    this.header = header;
    this.replyRoom = replyRoom;
    this.#room = room;
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
    await this.#reading?.catch(() => {});
  }

  /** Whether a read is under way. */
  get isReading(): boolean {
    return this.#reading !== undefined;
  }

  /**
   * The next bytes of the body, to be read before any others are wanted.
   *
   * @param lengthBytes Bounded by the caller.
   * @returns `undefined` when the body is shorter.
   */
  glance(lengthBytes: number): MaybeBytes | undefined {
    if (lengthBytes > this.#leftBytes) return undefined;
    return this.#count(this.#connection.glance(lengthBytes), lengthBytes);
  }

  /** The whole rest, when it is no longer than a limit; as {@linkcode glance}. */
  rest(bytesMax: number): MaybeBytes | undefined {
    if (this.#leftBytes > bytesMax) return undefined;
    return this.glance(this.#leftBytes);
  }

  /**
   * The whole rest as content, however long.
   *
   * @param wholeBytesMax Longest content that is wanted in one piece, in bytes;
   * while there is little room only what is always short comes so.
   * @param memory Where such content is put, unless it is very short; exactly as
   * long as asked for, in bytes.
   */
  content(
    wholeBytesMax = INLINE_BODY_BYTES_MAX,
    memory?: (lengthBytes: number) => Uint8Array<ArrayBuffer>,
  ): HereOrLater<IncomingBytes> {
    const sizeBytes = this.#leftBytes;
    this.#contentBytes = sizeBytes;
    const max = this.#room.takenBytes > ROOM_BYTES
      ? INLINE_BODY_BYTES_MAX
      : wholeBytesMax;
    if (sizeBytes > max) return { body: this.#stream(), sizeBytes };
    const into = sizeBytes < CLIENT_BODY_BYTES_MIN
      ? undefined
      : memory?.(sizeBytes);
    // Held until the request is answered: it may wait for peers.
    this.#wholeBytes = into?.buffer.byteLength ?? sizeBytes;
    this.#room.takenBytes += this.#wholeBytes;
    const bytes = into === undefined
      ? this.#take(sizeBytes)
      : this.#count(this.#connection.takeInto(into), sizeBytes);
    return whenHere(bytes, (body) => ({ body, sizeBytes }));
  }

  /** It was answered, or never will be: its room is for others. */
  release(): void {
    this.#room.takenBytes -= this.#wholeBytes;
    this.#wholeBytes = 0;
  }

  #stream(): ReadableStream<Uint8Array> {
    return new ReadableStream({
      pull: async (controller) => {
        if (this.#leftBytes === 0) return controller.close();
        const count = this.#pieceBytes();
        this.#room.takenBytes += count;
        try {
          controller.enqueue(await this.#take(count));
        } finally {
          this.#room.takenBytes -= count;
        }
      },
    }, { highWaterMark: 0 });
  }

  #pieceBytes(): number {
    const isTight = this.#room.takenBytes > ROOM_BYTES;
    const room = isTight ? PIECE_BYTES_MIN : PIECE_BYTES_MAX;
    return Math.min(room, this.#leftBytes);
  }

  #take(lengthBytes: number): MaybeBytes {
    return this.#count(this.#connection.take(lengthBytes), lengthBytes);
  }

  #count(bytes: MaybeBytes, lengthBytes: number): MaybeBytes {
    if (bytes instanceof Promise) return this.#wait(bytes, lengthBytes);
    this.#leftBytes -= lengthBytes;
    return bytes;
  }

  async #wait(
    reading: Promise<Uint8Array<ArrayBuffer>>,
    lengthBytes: number,
  ): Promise<Uint8Array<ArrayBuffer>> {
    this.#reading = reading;
    const bytes = await reading;
    this.#leftBytes -= lengthBytes;
    this.#reading = undefined;
    return bytes;
  }
}
