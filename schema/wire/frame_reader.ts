/**
 * Cuts a stream of bytes into frames, however the bytes arrive.
 *
 * The caller reads from its socket straight into {@linkcode FrameReader.space}
 * and reports how much came with {@linkcode FrameReader.filled}; then it asks
 * {@linkcode FrameReader.next} until that needs more data. The buffer grows only
 * for a body whose header was checked, so a peer that lies about a length costs
 * at most one frame of memory. After a fault the reader stays faulty.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { FRAME_BODY_BYTES_MAX } from "../limits.ts";
import {
  decodeHeader,
  type Frame,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  type HeaderFault,
} from "./frame.ts";

/** Least free room offered to a read, in bytes. */
const SPACE_BYTES_MIN = 16 * 1024;
/** First size of the buffer, in bytes: sixteen small records. */
const BUFFER_BYTES = 64 * 1024;
/** A buffer above this size, in bytes, is given back once it is empty. */
const KEPT_BYTES_MAX = 512 * 1024;

/** What the reader has to say next. */
export type FrameEvent =
  | { readonly kind: "frame"; readonly frame: Frame }
  | {
    readonly kind: "fault";
    readonly fault: HeaderFault | "bad-body" | "body-over-limit";
  }
  | { readonly kind: "need-data" };

const NEED_DATA: FrameEvent = { kind: "need-data" };

/** Reads the frames of one connection. */
export class FrameReader {
  #buffer = new Uint8Array(BUFFER_BYTES);
  #start = 0;
  #end = 0;
  #header: FrameHeader | undefined;
  #fault: FrameEvent | undefined;
  #bodyBytesMax: number;

  /**
   * A reader at the start of a stream.
   *
   * @param bodyBytesMax Longest body to take, in bytes; small until the peer is
   * authenticated.
   */
  constructor(bodyBytesMax: number = FRAME_BODY_BYTES_MAX) {
    this.#bodyBytesMax = bodyBytesMax;
  }

  /** Take bodies up to this length, in bytes, from the next header on. */
  allow(bodyBytesMax: number): void {
    this.#bodyBytesMax = bodyBytesMax;
  }

  /** Memory held, in bytes. */
  get heldBytes(): number {
    return this.#buffer.length;
  }

  /** Where the next bytes of the stream are to be put. */
  space(): Uint8Array<ArrayBuffer> {
    const held = this.#end - this.#start;
    const missing = this.#header === undefined
      ? SPACE_BYTES_MIN
      : Math.max(this.#header.bodyLength - held, SPACE_BYTES_MIN);
    if (held === 0 && this.#buffer.length > KEPT_BYTES_MAX) {
      this.#shrink(missing);
    }
    if (this.#buffer.length - this.#end < missing) this.#makeRoom(missing);
    return this.#buffer.subarray(this.#end);
  }

  /** Tell how many bytes were put into {@linkcode space}. */
  filled(count: number): void {
    this.#end += count;
  }

  /** The next frame, the fault that ends the stream, or a wish for more data. */
  next(): FrameEvent {
    if (this.#fault !== undefined) return this.#fault;
    if (this.#header === undefined) {
      const bytes = this.#take(FRAME_HEADER_BYTES);
      if (bytes === undefined) return NEED_DATA;
      const decoded = decodeHeader(bytes);
      if (!decoded.ok) return this.#stop(decoded.fault);
      if (decoded.header.bodyLength > this.#bodyBytesMax) {
        return this.#stop("body-over-limit");
      }
      this.#header = decoded.header;
    }
    const header = this.#header;
    const taken = this.#take(header.bodyLength);
    if (taken === undefined) return NEED_DATA;
    this.#header = undefined;
    if (crc32(taken) !== header.bodyCrc) return this.#stop("bad-body");
    // A copy: the buffer is written again while the frame is still in use.
    return { kind: "frame", frame: { ...header, body: taken.slice() } };
  }

  #take(count: number): Uint8Array<ArrayBuffer> | undefined {
    if (this.#end - this.#start < count) return undefined;
    const taken = this.#buffer.subarray(this.#start, this.#start + count);
    this.#start += count;
    return taken;
  }

  #makeRoom(missing: number): void {
    const held = this.#buffer.subarray(this.#start, this.#end);
    const needed = held.length + missing;
    const target = needed <= this.#buffer.length
      ? this.#buffer
      : new Uint8Array(needed);
    target.set(held);
    this.#buffer = target;
    this.#start = 0;
    this.#end = held.length;
  }

  #shrink(missing: number): void {
    this.#start = this.#end = 0;
    if (missing <= BUFFER_BYTES) this.#buffer = new Uint8Array(BUFFER_BYTES);
  }

  #stop(fault: HeaderFault | "bad-body" | "body-over-limit"): FrameEvent {
    this.#fault = { kind: "fault", fault };
    return this.#fault;
  }
}
