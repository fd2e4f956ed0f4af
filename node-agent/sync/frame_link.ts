/**
 * Frames over a byte channel: one reader, one writer, bounded both ways.
 *
 * Reading is pulled (`fill` then `next` until empty), so whoever handles a frame
 * slows the reader down simply by awaiting. Writing is queued: frames that are
 * sent while a write is under way, or in the same turn, leave in one write. A
 * queue over its limit closes the link, since its owner did not wait for
 * {@linkcode FrameLink.room}.
 *
 * @module
 */

import {
  encodeFrame,
  type Frame,
  type FrameToSend,
} from "@kedge/schema/wire/frame";
import { type BodyMemory, FrameReader } from "@kedge/schema/wire/frame-reader";
import { FRAME_BODY_BYTES_MAX, MIB } from "@kedge/schema";
import { GREETING_BYTES_MAX } from "@kedge/schema/wire/sync";
import type { ByteChannel } from "../ports.ts";

/** Small pieces are gathered into one write of at most this many bytes. */
const GATHER_BYTES_MAX = 128 * 1024;
/** Most bytes that may wait to be written. */
const QUEUE_BYTES_MAX = 16 * MIB;
/** A sender of bulk waits for room below this many bytes. */
const ROOM_BYTES = 512 * 1024;

/** One connection to a peer, in frames. */
export class FrameLink {
  /** Called whenever everything queued was written. */
  onDrained: (() => void) | undefined;
  readonly #channel: ByteChannel;
  readonly #reader = new FrameReader(GREETING_BYTES_MAX);
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #isWriting = false;
  #isEnding = false;
  #gather: Uint8Array<ArrayBuffer> | undefined;
  #waiting: (() => void)[] = [];
  #closedWhy: string | undefined;
  #readBytes = 0;
  #writtenBytes = 0;
  readonly #closed = Promise.withResolvers<string>();

  /** A link at the start of a connection: only a greeting is read. */
  constructor(channel: ByteChannel) {
    this.#channel = channel;
  }

  /** Who is at the other end, for the log. */
  get remote(): string {
    return this.#channel.remote;
  }

  /** Bytes that wait to be written. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Bytes read so far. */
  get readBytes(): number {
    return this.#readBytes;
  }

  /** Bytes written so far: handed to the transport, not yet to the peer. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** Why the link is closed; `undefined` while it is open. */
  get closedWhy(): string | undefined {
    return this.#closedWhy;
  }

  /** Resolves with the reason once the link is closed. */
  get closed(): Promise<string> {
    return this.#closed.promise;
  }

  /** The peer has proven who it is: take frames of full size. */
  trust(): void {
    this.#reader.allow(FRAME_BODY_BYTES_MAX);
  }

  /** Take memory for long bodies from here; whoever has a frame gives it back. */
  useMemory(memory: BodyMemory): void {
    this.#reader.useMemory(memory);
  }

  /** Queue a frame. Does nothing once the link is closed. */
  send(frame: FrameToSend): void {
    if (this.#closedWhy !== undefined || this.#isEnding) return;
    for (const piece of encodeFrame(frame)) {
      if (piece.length === 0) continue;
      this.#queue.push(piece);
      this.#queuedBytes += piece.length;
    }
    if (this.#queuedBytes > QUEUE_BYTES_MAX) {
      this.close("the peer does not read what we send");
      return;
    }
    this.#startWriting();
  }

  /** Resolve when there is room for more, or the link is closed. */
  async room(): Promise<void> {
    while (this.#closedWhy === undefined && this.#queuedBytes > ROOM_BYTES) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Resolve when all that is queued now was written, or the link is closed. */
  async written(): Promise<void> {
    const untilBytes = this.#writtenBytes + this.#queuedBytes;
    while (
      this.#closedWhy === undefined && this.#writtenBytes < untilBytes
    ) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Tell when all that is queued now was written; never once it is closed. */
  whenWritten(tell: () => void): void {
    void this.written().then(() => {
      if (this.#closedWhy === undefined) tell();
    });
  }

  /**
   * Wait for more bytes.
   *
   * @returns `false` once the link is closed.
   */
  async fill(): Promise<boolean> {
    if (this.#closedWhy !== undefined) return false;
    try {
      const count = await this.#channel.read(this.#reader.space());
      if (count === null) this.close("the peer closed the connection");
      else {
        this.#reader.filled(count);
        this.#readBytes += count;
      }
    } catch (error) {
      this.close(`the connection broke: ${messageOf(error)}`);
    }
    return this.#closedWhy === undefined;
  }

  /** The next frame that has come whole; a damaged one closes the link. */
  next(): Frame | undefined {
    if (this.#closedWhy !== undefined) return undefined;
    const event = this.#reader.next();
    if (event.kind === "frame") return event.frame;
    if (event.kind === "fault") this.close(`damaged frame: ${event.fault}`);
    return undefined;
  }

  /** Wait for one whole frame; `undefined` once the link is closed. */
  async receive(): Promise<Frame | undefined> {
    for (;;) {
      const frame = this.next();
      if (frame !== undefined) return frame;
      if (!await this.fill()) return undefined;
    }
  }

  /** Write what is queued, then close. */
  end(why: string): void {
    this.#isEnding = true;
    if (this.#queuedBytes === 0) this.close(why);
    else void this.#drained().then(() => this.close(why));
  }

  /** Close at once. The first reason counts. */
  close(why: string): void {
    if (this.#closedWhy !== undefined) return;
    this.#closedWhy = why;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#channel.close();
    this.#wake();
    this.#closed.resolve(why);
  }

  #startWriting(): void {
    if (this.#isWriting) return;
    this.#isWriting = true;
    // Frames of the same turn leave in the same write.
    queueMicrotask(() => void this.#writeAll());
  }

  async #writeAll(): Promise<void> {
    try {
      while (this.#queue.length > 0) {
        const piece = this.#takePiece();
        await this.#channel.write(piece);
        this.#writtenBytes += piece.length;
        this.#queuedBytes = Math.max(0, this.#queuedBytes - piece.length);
        if (this.#queuedBytes <= ROOM_BYTES) this.#wake();
      }
    } catch (error) {
      this.close(`the connection broke: ${messageOf(error)}`);
    }
    this.#isWriting = false;
    if (this.#closedWhy === undefined) this.onDrained?.();
  }

  /** A large piece as it is, or as many small ones as fit one write. */
  #takePiece(): Uint8Array {
    const first = this.#queue[0];
    if (first === undefined) return new Uint8Array(0);
    if (this.#queue.length === 1 || first.length >= GATHER_BYTES_MAX) {
      this.#queue.shift();
      return first;
    }
    const gather = this.#gather ??= new Uint8Array(GATHER_BYTES_MAX);
    let [count, length] = [0, 0];
    for (const piece of this.#queue) {
      if (length + piece.length > gather.length) break;
      gather.set(piece, length);
      length += piece.length;
      count++;
    }
    this.#queue.splice(0, count);
    return gather.subarray(0, length);
  }

  async #drained(): Promise<void> {
    while (this.#closedWhy === undefined && this.#queuedBytes > 0) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
