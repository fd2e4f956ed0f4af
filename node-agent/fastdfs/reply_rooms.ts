/**
 * Memory for answers with content, used again: fresh memory for each download
 * costs more than reading the file does.
 *
 * The content is read behind room for the header, so that both leave in one
 * write and nothing is copied.
 *
 * @module
 */

import {
  type Header,
  HEADER_BYTES,
  writeHeader,
} from "@kedge/schema/wire/fastdfs";
import { MIB } from "@kedge/schema";
import { BodyRooms } from "../body_rooms.ts";
import { CONTENT_HELD_BYTES_MAX, SendingContent } from "../content_pieces.ts";

/** Smallest piece of memory, in bytes. */
const ROOM_BYTES_MIN = 256;
/**
 * Larger content is read elsewhere: one block of a file, and its header. Of it no
 * more than this is in memory either.
 */
export const ROOM_BYTES_MAX: number = CONTENT_HELD_BYTES_MAX;
/** Memory that is kept for later, in bytes. */
const KEPT_BYTES_MAX: number = 16 * MIB;

/** Memory of one door. */
export class ReplyRooms extends SendingContent {
  readonly #rooms = new BodyRooms({
    sizeBytesMin: ROOM_BYTES_MIN,
    sizeBytesMax: ROOM_BYTES_MAX,
    freeBytesMax: KEPT_BYTES_MAX,
  });

  /** Room for one answer; to be released. */
  open(): ReplyRoom {
    return new ReplyRoom(this);
  }

  /** Memory of at least so many bytes. */
  take(lengthBytes: number): Uint8Array<ArrayBuffer> {
    return this.#rooms.take(lengthBytes);
  }

  /** Nobody uses this memory any more. */
  give({ buffer }: Uint8Array<ArrayBuffer>): void {
    this.#rooms.giveBack(buffer);
  }

  /** Called now and then: keep nothing while nobody downloads. */
  sweep(): void {
    this.#rooms.sweep();
  }
}

/** The memory of one answer. */
export class ReplyRoom {
  readonly #rooms: ReplyRooms;
  #bytes: Uint8Array<ArrayBuffer> | undefined;

  /** Opened by {@linkcode ReplyRooms}. */
  constructor(rooms: ReplyRooms) {
    this.#rooms = rooms;
  }

  /** Whether content should be read in short pieces. */
  get isCrowded(): boolean {
    return this.#rooms.isCrowded;
  }

  /** Room for content of exactly so many bytes; the last one counts. */
  readonly content = (lengthBytes: number): Uint8Array<ArrayBuffer> => {
    const wanted = HEADER_BYTES + lengthBytes;
    return this.#make(wanted).subarray(HEADER_BYTES, wanted);
  };

  #make(lengthBytes: number): Uint8Array<ArrayBuffer> {
    if (this.#bytes !== undefined && this.#bytes.length >= lengthBytes) {
      return this.#bytes;
    }
    this.release();
    return this.#bytes = this.#rooms.take(lengthBytes);
  }

  /**
   * The answer with its header, when the content lies here.
   *
   * @returns `undefined` when it lies elsewhere.
   */
  answer(
    content: Uint8Array,
    header: Header,
  ): Uint8Array | undefined {
    const bytes = this.#bytes;
    const isHere = bytes !== undefined && content.buffer === bytes.buffer &&
      content.byteOffset === HEADER_BYTES;
    if (!isHere) return undefined;
    const whole = bytes.subarray(0, HEADER_BYTES + content.length);
    writeHeader(whole, header);
    return whole;
  }

  /** A whole answer whose body, if any, is copied. */
  short(header: Header, body: Uint8Array | undefined): Uint8Array {
    const wanted = HEADER_BYTES + header.bodyBytes;
    const whole = this.#make(wanted).subarray(0, wanted);
    writeHeader(whole, header);
    if (body !== undefined) whole.set(body, HEADER_BYTES);
    return whole;
  }

  /** The answer has left, or never will. */
  release(): void {
    if (this.#bytes !== undefined) this.#rooms.give(this.#bytes);
    this.#bytes = undefined;
  }
}
