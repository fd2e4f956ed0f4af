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

/** See the module comment. */
export class InBuffer {
  readonly #bytes = new Uint8Array(BUFFER_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  #have = 0;
  #at = 0;

  /** Where the socket reads into; never empty. */
  room(): Uint8Array {
    if (this.#at > 0) {
      this.#bytes.copyWithin(0, this.#at, this.#have);
      this.#have -= this.#at;
      this.#at = 0;
    }
    return this.#bytes.subarray(this.#have);
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
