/**
 * Cuts a stream of bytes into frames, however the bytes arrive.
 *
 * The caller reads from its socket straight into {@linkcode FrameReader.space}
 * and reports how much came with {@linkcode FrameReader.filled}; then it asks
 * {@linkcode FrameReader.next} until that needs more data. A long body is read
 * into memory of its own, which is taken once its header was checked: so it is
 * not copied, and a peer that lies about a length costs at most one frame of
 * memory. After a fault the reader stays faulty.
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
/** Size of the buffer, in bytes: sixteen small records. */
const BUFFER_BYTES = 64 * 1024;
/** Bodies from this length on, in bytes, are not copied. */
export const LONG_BODY_BYTES_MIN: number = 32 * 1024;

/** Gives memory for a long body, at least as long as asked for, in bytes. */
export type BodyMemory = (lengthBytes: number) => Uint8Array<ArrayBuffer>;

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
  #memory: BodyMemory = (lengthBytes) => new Uint8Array(lengthBytes);
  /** The long body that comes now. */
  #long: Uint8Array<ArrayBuffer> | undefined;
  #longEnd = 0;

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

  /** Take memory for long bodies from here, from the next header on. */
  useMemory(memory: BodyMemory): void {
    this.#memory = memory;
  }

  /** Memory held, in bytes. */
  get heldBytes(): number {
    return this.#buffer.length + (this.#long?.length ?? 0);
  }

  /** Where the next bytes of the stream are to be put. */
  space(): Uint8Array<ArrayBuffer> {
    if (this.#long !== undefined && this.#longEnd < this.#long.length) {
      return this.#long.subarray(this.#longEnd);
    }
    const held = this.#end - this.#start;
    const wanted = (this.#header?.bodyLength ?? 0) - held;
    const missing = Math.max(wanted, SPACE_BYTES_MIN);
    if (this.#buffer.length - this.#end < missing) this.#makeRoom(missing);
    return this.#buffer.subarray(this.#end);
  }

  /** Tell how many bytes were put into {@linkcode space}. */
  filled(count: number): void {
    if (this.#long !== undefined && this.#longEnd < this.#long.length) {
      this.#longEnd += count;
    } else this.#end += count;
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
      const { bodyLength } = decoded.header;
      if (bodyLength >= LONG_BODY_BYTES_MIN) this.#begin(bodyLength);
    }
    const header = this.#header;
    const body = this.#takeBody(header.bodyLength);
    if (body === undefined) return NEED_DATA;
    this.#header = undefined;
    if (crc32(body) !== header.bodyCrc) return this.#stop("bad-body");
    return { kind: "frame", frame: { ...header, body } };
  }

  /** What has come of a long body goes where the rest of it will. */
  #begin(lengthBytes: number): void {
    const held = Math.min(this.#end - this.#start, lengthBytes);
    this.#long = this.#memory(lengthBytes).subarray(0, lengthBytes);
    this.#long.set(this.#buffer.subarray(this.#start, this.#start + held));
    this.#longEnd = held;
    this.#start += held;
  }

  #takeBody(lengthBytes: number): Uint8Array<ArrayBuffer> | undefined {
    const long = this.#long;
    // A copy: the buffer is written again while the frame is still in use.
    if (long === undefined) return this.#take(lengthBytes)?.slice();
    if (this.#longEnd < long.length) return undefined;
    this.#long = undefined;
    return long;
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

  #stop(fault: HeaderFault | "bad-body" | "body-over-limit"): FrameEvent {
    this.#fault = { kind: "fault", fault };
    return this.#fault;
  }
}
