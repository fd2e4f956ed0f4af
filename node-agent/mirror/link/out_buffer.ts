/**
 * Frames on their way out: encoded into one buffer, sent in one socket write
 * per batch, while the next batch is gathered in a second buffer.
 *
 * @module
 */

import {
  MIRROR_HEADER_BYTES,
  type MirrorFrame,
  mirrorFrameBytes,
  type MirrorKind,
  putMirrorFrame,
  putMirrorHeader,
} from "@kedge/schema/wire/mirror";

/** Starting size; it grows with what is queued. */
const INITIAL_BYTES = 256 * 1024;
/** What {@link mirrorFrameBytes} counts beyond the numbers of a frame. */
const SLACK_BYTES = 40;
/** A buffer that grew beyond this in a burst is not kept. */
const KEPT_BYTES_MAX = 8 * 1024 * 1024;

/** See the module comment. */
export class OutBuffer {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(INITIAL_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #used = 0;
  #spare: Uint8Array<ArrayBuffer> | undefined;
  #sending = 0;

  /** @param write Takes bytes for good; rejects when the socket is gone. */
  constructor(readonly write: (bytes: Uint8Array) => Promise<void>) {}

  /** Bytes that the socket has not taken. */
  get queuedBytes(): number {
    return this.#used + this.#sending;
  }

  /**
   * Where the payload of the next frame goes, if it has so many numbers in front
   * of it: written there already, it is not copied by {@link put}.
   */
  payloadRoom(numbers: number, lengthBytes: number): Uint8Array {
    const at = MIRROR_HEADER_BYTES + 8 * numbers;
    this.#reserve(at + lengthBytes + SLACK_BYTES);
    const from = this.#used + at;
    return this.#bytes.subarray(from, from + lengthBytes);
  }

  /** Queue a frame; its payload is copied. */
  put(frame: MirrorFrame, epoch: number): void {
    this.#reserve(mirrorFrameBytes(frame));
    const { used, bytes, view } = this.#place();
    this.#used = putMirrorFrame(frame, epoch, bytes, view, used);
  }

  /** Queue a frame of the transport itself. */
  putRaw(kind: MirrorKind, body: Uint8Array): void {
    this.#reserve(MIRROR_HEADER_BYTES + body.length);
    const { used, bytes, view } = this.#place();
    bytes.set(body, used + MIRROR_HEADER_BYTES);
    const bodyLength = body.length;
    putMirrorHeader(bytes, view, used, {
      kind,
      flags: 0,
      bodyLength,
      epoch: 0,
    });
    this.#used = used + MIRROR_HEADER_BYTES + bodyLength;
  }

  /** Send what is queued, unless a batch is on its way: then it follows. */
  flush(): void {
    if (this.#sending > 0 || this.#used === 0) return;
    const full = this.#bytes;
    const used = this.#used;
    this.#adopt(this.#spare ?? new Uint8Array(INITIAL_BYTES));
    this.#spare = undefined;
    this.#sending = used;
    this.write(full.subarray(0, used)).then(() => {
      this.#sending = 0;
      this.#keep(full);
      this.flush();
      this.onDrain?.();
    }, () => {/* the reader of this socket sees its end, too */});
  }

  /** Called when a batch was taken. */
  onDrain: (() => void) | undefined;

  /**
   * Use a buffer again that was sent: at once where the other one is empty, since
   * this one is in the processor's cache.
   */
  #keep(sent: Uint8Array<ArrayBuffer>): void {
    if (sent.length > KEPT_BYTES_MAX) return;
    if (this.#used > 0) {
      this.#spare = sent;
      return;
    }
    this.#spare = this.#bytes;
    this.#adopt(sent);
  }

  #place() {
    return { used: this.#used, bytes: this.#bytes, view: this.#view };
  }

  #reserve(count: number): void {
    if (this.#used + count <= this.#bytes.length) return;
    const grown = new Uint8Array(
      Math.max(this.#bytes.length * 2, this.#used + count),
    );
    grown.set(this.#bytes.subarray(0, this.#used));
    const used = this.#used;
    this.#adopt(grown);
    this.#used = used;
  }

  #adopt(bytes: Uint8Array<ArrayBuffer>): void {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
    this.#used = 0;
  }
}
