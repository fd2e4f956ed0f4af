/**
 * The replies of one connection on their way out.
 *
 * Replies are written, and data is read, straight into a few buffers; whatever
 * is ready leaves in one socket write per batch. A read that is not answered at
 * once keeps its place in a buffer, and what comes after it overtakes it. While
 * a long reply is streamed, all others are held back: nothing may be sent
 * between its pieces.
 *
 * @module
 */

/** Data of one buffer, in bytes: two pieces with their headers, or one stream piece. */
export const REPLY_DATA_BYTES: number = 256 * 1024;
/** Room for headers beside the data, in bytes. */
const HEADERS_BYTES = 4 * 1024;
/** Unsent bytes from which on no further request is taken. */
const BACKLOG_BYTES_MAX: number = 2 * REPLY_DATA_BYTES;
/** Empty buffers kept for the next batch. */
const SPARE_MAX = 2;

/** Where replies go. */
export interface ReplySink {
  /** Send some of the bytes; answers how many. */
  write(bytes: Uint8Array): Promise<number>;
}

/** Memory for replies. */
export class ReplyBuffer {
  readonly bytes: Uint8Array<ArrayBuffer> = new Uint8Array(
    REPLY_DATA_BYTES + HEADERS_BYTES,
  );
  readonly view: DataView = new DataView(this.bytes.buffer);
  /** Bytes given out. */
  used = 0;
  /** Bytes that are queued or belong to an open place. */
  sealed = 0;
  /** Queued stretches and open places. */
  holds = 0;
}

/** A stretch of a buffer. */
export interface Place {
  readonly buffer: ReplyBuffer;
  readonly from: number;
  readonly to: number;
}

/** The outgoing side of one connection. */
export class Output {
  readonly #sink: ReplySink;
  readonly #buffersMax: number;
  readonly #changed: () => void;
  readonly #spare: ReplyBuffer[] = [];
  #bufferCount = 0;
  #tail: ReplyBuffer;
  #queue: Place[] = [];
  #heldBack: Place[] | undefined;
  #queuedBytes = 0;
  #isSending = false;
  #isFailed = false;
  #sendingSinceMs: number | undefined;

  /**
   * @param sink The socket.
   * @param buffersMax Buffers that reads may use together.
   * @param changed Called after each socket write and on failure.
   */
  constructor(sink: ReplySink, buffersMax: number, changed: () => void) {
    this.#sink = sink;
    this.#buffersMax = buffersMax;
    this.#changed = changed;
    this.#tail = this.#newBuffer();
  }

  /** The client is gone, or was cut: nothing is sent any more. */
  get isFailed(): boolean {
    return this.#isFailed;
  }

  /** Everything that is due has been sent. */
  get isIdle(): boolean {
    return this.#isFailed ||
      !this.#isSending && this.#queue.length === 0 &&
        this.#heldBack === undefined &&
        this.#tail.used === this.#tail.sealed;
  }

  /** Since when the client has taken nothing although something is due. */
  get stalledSinceMs(): number | undefined {
    return this.#sendingSinceMs;
  }

  /** Whether a request whose reply has so many bytes may be taken now. */
  hasRoom(lengthBytes: number): boolean {
    return this.#queuedBytes < BACKLOG_BYTES_MAX && (
      fits(this.#tail, lengthBytes) || this.#mayGrow()
    );
  }

  /**
   * Room for a reply that is written before anything else happens.
   *
   * @returns Its buffer and offset there.
   */
  claim(lengthBytes: number): Place {
    if (!fits(this.#tail, lengthBytes)) this.#turnOver();
    const buffer = this.#tail;
    const from = buffer.used;
    buffer.used += lengthBytes;
    return { buffer, from, to: buffer.used };
  }

  /** Room for a reply that may take its time; others pass it. */
  open(lengthBytes: number): Place {
    this.#seal();
    const place = this.claim(lengthBytes);
    place.buffer.sealed = place.to;
    place.buffer.holds++;
    return place;
  }

  /** The place holds its reply now. */
  finish(place: Place): void {
    this.#enqueue(place);
    this.#letGo(place.buffer);
  }

  /** Nothing will be sent from this place. */
  cancel(place: Place): void {
    this.#letGo(place.buffer);
  }

  /** Send what is ready. */
  flush(): void {
    this.#seal();
    if (!this.#isSending && this.#queue.length > 0) this.#send();
  }

  /** From here on only pieces of one stream are sent. */
  beginStream(): void {
    this.#seal();
    this.#heldBack = [];
  }

  /** The stream is over; send what was held back. */
  endStream(): void {
    const heldBack = this.#heldBack ?? [];
    this.#heldBack = undefined;
    this.#queue.push(...heldBack);
    this.flush();
  }

  /** A whole buffer for a piece of a stream, if one may be had now. */
  openPiece(lengthBytes: number): Place | undefined {
    if (this.#queuedBytes >= BACKLOG_BYTES_MAX) return undefined;
    const buffer = this.#spare.pop() ??
      (this.#mayGrow() ? this.#newBuffer() : undefined);
    if (buffer === undefined) return undefined;
    buffer.used = buffer.sealed = lengthBytes;
    buffer.holds = 1;
    return { buffer, from: 0, to: lengthBytes };
  }

  /** Send a piece of the stream. */
  sendPiece(place: Place): void {
    this.#push(this.#queue, place);
    this.#letGo(place.buffer);
    if (!this.#isSending) this.#send();
  }

  /** Give up: drop what is queued and send nothing more. */
  fail(): void {
    this.#isFailed = true;
    for (const place of [...this.#queue, ...this.#heldBack ?? []]) {
      this.#letGo(place.buffer);
    }
    this.#queue = [];
    if (this.#heldBack !== undefined) this.#heldBack = [];
    this.#queuedBytes = 0;
    this.#sendingSinceMs = undefined;
    this.#changed();
  }

  async #send(): Promise<void> {
    this.#isSending = true;
    try {
      for (;;) {
        const place = this.#queue.shift();
        if (place === undefined) break;
        await this.#sendPlace(place);
        this.#letGo(place.buffer);
        this.#changed();
      }
    } catch {
      this.fail();
    }
    this.#isSending = false;
    this.#changed();
  }

  async #sendPlace({ buffer, from, to }: Place): Promise<void> {
    for (let at = from; at < to;) {
      this.#sendingSinceMs = performance.now();
      const sent = await this.#sink.write(buffer.bytes.subarray(at, to));
      this.#queuedBytes -= sent;
      at += sent;
    }
    this.#sendingSinceMs = undefined;
  }

  #seal(): void {
    const buffer = this.#tail;
    if (buffer.used === buffer.sealed) return;
    this.#enqueue({ buffer, from: buffer.sealed, to: buffer.used });
    buffer.sealed = buffer.used;
  }

  #enqueue(place: Place): void {
    this.#push(this.#heldBack ?? this.#queue, place);
  }

  #push(queue: Place[], place: Place): void {
    if (this.#isFailed) return;
    this.#queuedBytes += place.to - place.from;
    const last = queue.at(-1);
    if (last !== undefined && last.buffer === place.buffer) {
      if (last.to === place.from) {
        queue[queue.length - 1] = { ...last, to: place.to };
        return;
      }
    }
    place.buffer.holds++;
    queue.push(place);
  }

  #turnOver(): void {
    this.#seal();
    const full = this.#tail;
    this.#tail = this.#spare.pop() ?? this.#newBuffer();
    if (full.holds === 0) this.#recycle(full);
  }

  #letGo(buffer: ReplyBuffer): void {
    if (--buffer.holds > 0) return;
    if (buffer !== this.#tail) return this.#recycle(buffer);
    // What follows the last stretch is not sealed yet: keep it.
    if (buffer.used === buffer.sealed) buffer.used = buffer.sealed = 0;
  }

  #recycle(buffer: ReplyBuffer): void {
    buffer.used = buffer.sealed = 0;
    if (this.#spare.length < SPARE_MAX) this.#spare.push(buffer);
    else this.#bufferCount--;
  }

  #mayGrow(): boolean {
    return this.#spare.length > 0 || this.#bufferCount < this.#buffersMax;
  }

  #newBuffer(): ReplyBuffer {
    this.#bufferCount++;
    return new ReplyBuffer();
  }
}

function fits(buffer: ReplyBuffer, lengthBytes: number): boolean {
  return buffer.used + lengthBytes <= buffer.bytes.length;
}
