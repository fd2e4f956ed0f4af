/**
 * The pieces in which a body is read.
 *
 * A long body is read into room of ours: the stream's own pieces are 64 KiB long
 * and stay until a collection (Deno 2.9.6; 100 MiB cost 160 ms of processor time
 * that way and 50 ms this way). Room is held while nothing comes, so it grows with
 * what the client has sent, and that of all bodies together is bounded.
 *
 * @module
 */

import { KIB, MIB } from "@kedge/schema";

/** Least room for a read, in bytes. */
const ROOM_BYTES_MIN = 16 * KIB;
/** Most room for a read, in bytes: few reads, and few writes to the disk. */
const ROOM_BYTES_MAX = MIB;
/** A body gets so much less room than it has sent. */
const ROOM_PART = 8;
/** Room of all bodies; above it everybody gets the least. */
const ROOM_BYTES_IN_ALL = 32 * MIB;

/** A body, read once. */
export interface Pieces {
  /** The next bytes, which belong to the caller; `undefined` at the end. */
  next(): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Read no more. A read under way ends at once. */
  cancel(): Promise<void>;
  /** The body is no longer of interest. */
  close(): void;
}

/** The room that the bodies of one agent share. */
export class PieceRoom {
  #takenBytes = 0;

  /** So much as is wanted, or the least when there is too little. */
  take(wantedBytes: number): number {
    const isMuch = this.#takenBytes + wantedBytes > ROOM_BYTES_IN_ALL;
    const bytes = isMuch ? ROOM_BYTES_MIN : wantedBytes;
    this.#takenBytes += bytes;
    return bytes;
  }

  /** Room is not held any more. */
  giveBack(bytes: number): void {
    this.#takenBytes -= bytes;
  }
}

/**
 * Read a body.
 *
 * @param room For a body that may be long; one that is short comes in one piece
 * that the server has made already.
 */
export function piecesOf(
  body: ReadableStream<Uint8Array>,
  room: PieceRoom | undefined,
): Pieces {
  const reader = room && byteReader(body);
  return room === undefined || reader === undefined
    ? new PlainPieces(body.getReader())
    : new LongPieces(reader, room);
}

/** `undefined`: the stream is not one of bytes, as behind `node:https`. */
function byteReader(
  body: ReadableStream<Uint8Array>,
): ReadableStreamBYOBReader | undefined {
  try {
    return body.getReader({ mode: "byob" });
  } catch {
    return undefined;
  }
}

class PlainPieces implements Pieces {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(reader: ReadableStreamDefaultReader<Uint8Array>) {
    this.#reader = reader;
  }

  async next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const { value } = await this.#reader.read();
    return value as Uint8Array<ArrayBuffer> | undefined;
  }

  cancel(): Promise<void> {
    return this.#reader.cancel();
  }

  close(): void {}
}

class LongPieces implements Pieces {
  readonly #reader: ReadableStreamBYOBReader;
  readonly #shared: PieceRoom;
  /** Left over from the last read. */
  #room: Uint8Array<ArrayBuffer> | undefined;
  /** Bytes of room that count as ours. */
  #heldBytes = 0;
  #receivedBytes = 0;

  constructor(reader: ReadableStreamBYOBReader, shared: PieceRoom) {
    this.#reader = reader;
    this.#shared = shared;
  }

  async next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const room = this.#room ?? this.#newRoom();
    this.#room = undefined;
    const { value, done } = await this.#reader.read(room);
    if (done || value === undefined) {
      value?.buffer.transfer(0);
      this.close();
      return undefined;
    }
    this.#receivedBytes += value.length;
    if (value.length === value.buffer.byteLength) {
      this.close();
      return value;
    }
    // The room stays for the next read: freed, it would be held nevertheless
    // until the request ends (Deno 2.9.6).
    this.#room = new Uint8Array(value.buffer);
    return value.slice();
  }

  #newRoom(): Uint8Array<ArrayBuffer> {
    const wantedBytes = roomFor(this.#receivedBytes);
    this.#heldBytes = this.#shared.take(wantedBytes);
    return new Uint8Array(this.#heldBytes);
  }

  cancel(): Promise<void> {
    return this.#reader.cancel();
  }

  close(): void {
    this.#shared.giveBack(this.#heldBytes);
    this.#heldBytes = 0;
  }
}

/**
 * Room for the next read of a body, in bytes.
 *
 * @param receivedBytes What has come of it.
 */
export function roomFor(receivedBytes: number): number {
  const part = Math.floor(receivedBytes / ROOM_PART);
  return Math.min(ROOM_BYTES_MAX, Math.max(ROOM_BYTES_MIN, part));
}
