/**
 * Frames coming in: one buffer that stays, payloads are views of it.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import {
  MIRROR_BODY_BYTES_MAX,
  MIRROR_HEADER_BYTES,
  MirrorFrameError,
  type MirrorHeader,
  mirrorHeaderAt,
} from "@kedge/schema/wire/mirror";

/** Room for some of the longest frames. */
const BUFFER_BYTES = 4 * (MIRROR_BODY_BYTES_MAX + MIRROR_HEADER_BYTES);

/** With less room than this, in bytes, the rest moves to the front. */
const ROOM_BYTES_MIN = 128 * 1024;

/** See the module comment. */
export class InBuffer {
  readonly #bytes = new Uint8Array(BUFFER_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  #have = 0;
  #at = 0;

  /** Where the socket reads into; never empty. */
  room(): Uint8Array {
    if (this.#at === this.#have) {
      this.#at = this.#have = 0;
    } else if (this.#at > 0 && this.#isCramped()) {
      this.#bytes.copyWithin(0, this.#at, this.#have);
      this.#have -= this.#at;
      this.#at = 0;
    }
    return this.#bytes.subarray(this.#have);
  }

  /** Whether the frame at hand may not end in the room that is left. */
  #isCramped(): boolean {
    const frameEnd = this.#at + MIRROR_HEADER_BYTES + MIRROR_BODY_BYTES_MAX;
    return frameEnd > BUFFER_BYTES ||
      BUFFER_BYTES - this.#have < ROOM_BYTES_MIN;
  }

  /** Bytes that no frame was made of yet. */
  get queuedBytes(): number {
    return this.#have - this.#at;
  }

  /** So many bytes were read into {@link room}. */
  filled(count: number): void {
    this.#have += count;
  }

  /**
   * Whether a whole frame is there.
   *
   * @throws {MirrorFrameError} As {@link next}.
   */
  get isReady(): boolean {
    if (this.#have - this.#at < MIRROR_HEADER_BYTES) return false;
    const header = mirrorHeaderAt(this.#bytes, this.#view, this.#at);
    return this.#have - this.#at >= MIRROR_HEADER_BYTES + header.bodyLength;
  }

  /**
   * The next whole frame. Its body is valid until {@link room} is asked for.
   *
   * @throws {MirrorFrameError} The stream is not what it should be: close it.
   */
  next(): { header: MirrorHeader; body: Uint8Array } | undefined {
    if (this.#have - this.#at < MIRROR_HEADER_BYTES) return undefined;
    const header = mirrorHeaderAt(this.#bytes, this.#view, this.#at);
    const bodyAt = this.#at + MIRROR_HEADER_BYTES;
    const end = bodyAt + header.bodyLength;
    if (end > this.#have) return undefined;
    const body = this.#bytes.subarray(bodyAt, end);
    if (body.length > 0 && crc32(body) !== header.bodyCrc) {
      throw new MirrorFrameError("damaged body");
    }
    this.#at = end;
    return { header, body };
  }
}
