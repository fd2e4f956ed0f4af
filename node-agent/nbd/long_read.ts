/**
 * The reply to a READ that is longer than a piece: read and sent piece by piece,
 * in order, through a few buffers. A slow device gets several pieces at a time.
 *
 * Without structured replies, or with DF, there is one header in front of all
 * pieces. When a later piece fails, a simple reply cannot be saved (the
 * connection ends), a DF reply is filled with zeroes and an error follows.
 * Otherwise each piece is a chunk, and the error comes instead of the next one.
 *
 * @module
 */

import {
  CHUNK_HEADER_BYTES,
  CommandFlag,
  DATA_CHUNK_BYTES,
  ERROR_OFFSET_CHUNK_BYTES,
  type NbdRequest,
  putDataChunk,
  putErrorOffsetChunk,
  putNoneChunk,
  putSimpleReply,
  SIMPLE_REPLY_BYTES,
} from "@kedge/schema/wire/nbd/requests";
import { type BlockDevice, BlockErrno } from "../block_ports.ts";
import { type Output, type Place, REPLY_DATA_BYTES } from "./output.ts";
import type { Signal } from "./signal.ts";

/** Pieces that the device may work on together. */
const WINDOW = 4;

/** What a long read works with. */
export interface LongReadParts {
  readonly device: BlockDevice;
  readonly output: Output;
  /** Notified when the output or a piece has changed. */
  readonly changed: Signal;
  readonly structured: boolean;
}

/** How it ended. */
export type LongReadEnd =
  | "answered"
  /** An error that is still to be told: no byte of a reply was sent. */
  | { readonly errno: BlockErrno }
  /** The reply was begun and cannot be finished: close the connection. */
  | "broken";

type Shape = "simple" | "one-chunk" | "chunks";

interface Piece {
  readonly place: Place;
  readonly offset: number;
  readonly headBytes: number;
  errno: BlockErrno | undefined;
}

/** One such reply. */
export class LongRead {
  readonly #request: NbdRequest;
  readonly #parts: LongReadParts;
  readonly #shape: Shape;
  readonly #end: number;
  readonly #window: Piece[] = [];
  #next: number;
  #hasBegun = false;

  /** A reply to `request`, whose bounds were checked. */
  constructor(request: NbdRequest, parts: LongReadParts) {
    this.#request = request;
    this.#parts = parts;
    const isOne = (request.flags & CommandFlag.DF) !== 0;
    this.#shape = !parts.structured ? "simple" : isOne ? "one-chunk" : "chunks";
    this.#next = request.offset;
    this.#end = request.offset + request.lengthBytes;
  }

  /** Read and send everything. */
  async run(): Promise<LongReadEnd> {
    const { output, changed } = this.#parts;
    output.beginStream();
    let end: LongReadEnd = "answered";
    for (;;) {
      const head = this.#window[0];
      if (output.isFailed) {
        end = "broken";
        break;
      }
      if (head?.errno === BlockErrno.OK) {
        this.#window.shift();
        this.#send(head);
      } else if (head?.errno !== undefined) {
        end = await this.#stop(head, head.errno);
        break;
      } else if (head === undefined && this.#next === this.#end) {
        await this.#finish();
        break;
      } else if (!this.#startPiece()) {
        await changed.wait();
      }
    }
    await this.#dropWindow();
    output.endStream();
    return end;
  }

  /** Ask the device for the next piece, if there is one and a buffer for it. */
  #startPiece(): boolean {
    const { device, output, changed } = this.#parts;
    if (this.#next === this.#end || this.#window.length >= WINDOW) return false;
    const lengthBytes = Math.min(REPLY_DATA_BYTES, this.#end - this.#next);
    const headBytes = this.#headBytes();
    const place = output.openPiece(headBytes + lengthBytes);
    if (place === undefined) return false;
    const offset = this.#next;
    const piece: Piece = { place, offset, headBytes, errno: undefined };
    this.#next += lengthBytes;
    this.#window.push(piece);
    const into = place.buffer.bytes.subarray(headBytes, place.to);
    device.read(offset, into, (errno) => {
      piece.errno = errno;
      changed.notify();
    });
    if (piece.errno === undefined) device.settle();
    return true;
  }

  #headBytes(): number {
    if (this.#shape === "chunks") return DATA_CHUNK_BYTES;
    if (this.#next > this.#request.offset) return 0;
    return this.#shape === "simple" ? SIMPLE_REPLY_BYTES : DATA_CHUNK_BYTES;
  }

  #send({ place, offset, headBytes }: Piece): void {
    const { view } = place.buffer;
    if (headBytes > 0 && this.#shape === "simple") {
      putSimpleReply(view, 0, this.#request, BlockErrno.OK);
    } else if (headBytes > 0) {
      const hereBytes = place.to - headBytes;
      // DONE only with the last piece at hand: an error could still follow.
      const isLast = offset + hereBytes === this.#end;
      const isWhole = this.#shape === "one-chunk";
      const lengthBytes = isWhole ? this.#request.lengthBytes : hereBytes;
      putDataChunk(view, 0, this.#request, { offset, lengthBytes, isLast });
    }
    this.#hasBegun = true;
    this.#parts.output.sendPiece(place);
  }

  /** Say DONE where the head of the one chunk could not. */
  async #finish(): Promise<void> {
    if (this.#shape !== "one-chunk") return;
    if (this.#request.lengthBytes <= REPLY_DATA_BYTES) return;
    const place = await this.#openPiece(CHUNK_HEADER_BYTES);
    if (place === undefined) return;
    putNoneChunk(place.buffer.view, 0, this.#request);
    this.#parts.output.sendPiece(place);
  }

  async #stop(failed: Piece, errno: BlockErrno): Promise<LongReadEnd> {
    if (!this.#hasBegun) return { errno };
    if (this.#shape === "simple") return "broken";
    if (this.#shape === "one-chunk") await this.#fill(failed.offset);
    const place = await this.#openPiece(ERROR_OFFSET_CHUNK_BYTES);
    if (place === undefined) return "broken";
    const at = { errno, offset: failed.offset };
    putErrorOffsetChunk(place.buffer.view, 0, this.#request, at);
    this.#parts.output.sendPiece(place);
    return "answered";
  }

  /** Zeroes from `offset` to the end of the one chunk. */
  async #fill(offset: number): Promise<void> {
    for (let at = offset; at < this.#end;) {
      const lengthBytes = Math.min(REPLY_DATA_BYTES, this.#end - at);
      const place = await this.#openPiece(lengthBytes);
      if (place === undefined) return;
      place.buffer.bytes.fill(0, 0, lengthBytes);
      this.#parts.output.sendPiece(place);
      at += lengthBytes;
    }
  }

  async #openPiece(lengthBytes: number): Promise<Place | undefined> {
    const { output, changed } = this.#parts;
    for (;;) {
      if (output.isFailed) return undefined;
      const place = output.openPiece(lengthBytes);
      if (place !== undefined) return place;
      await changed.wait();
    }
  }

  /** Wait for what the device still writes into, and give it back. */
  async #dropWindow(): Promise<void> {
    for (const piece of this.#window) {
      while (piece.errno === undefined) await this.#parts.changed.wait();
      this.#parts.output.cancel(piece.place);
    }
  }
}
