/**
 * The 32-byte header in front of every frame of a mirror connection.
 *
 * ```text
 * offset  size  field       notes
 *      0     4  magic       "KDGM"
 *      4     1  version     1
 *      5     1  kind        see MIRROR_KINDS
 *      6     2  flags       meaning by kind
 *      8     4  bodyLength  bytes after the header, at most MIRROR_BODY_BYTES_MAX
 *     12     4  bodyCrc     CRC-32 of the body; 0 when the body is empty
 *     16     8  epoch       of the volume register that the sender acts under
 *     24     4  reserved    0
 *     28     4  headerCrc   CRC-32 of bytes 0..27
 * ```
 *
 * All integers are big-endian. The header has its own checksum, so that a
 * reader can trust `bodyLength` before it waits for the body.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { MIRROR_PAYLOAD_BYTES_MAX } from "./frames.ts";

/** Size of a header, in bytes. */
export const MIRROR_HEADER_BYTES = 32;

/** The longest body: a payload, and the numbers in front of it. */
export const MIRROR_BODY_BYTES_MAX = MIRROR_PAYLOAD_BYTES_MAX + 256;

/** What a frame is, by its number on the wire. Never renumber; only append. */
export const MIRROR_KINDS = {
  hello: 1,
  proof: 2,
  ping: 3,
  pong: 4,
  data: 10,
  zero: 11,
  flush: 12,
  ack: 13,
  failed: 14,
  dirty: 15,
  readRequest: 16,
  readReply: 17,
  resyncRequest: 18,
  resyncData: 19,
  resyncStable: 20,
  verifyRequest: 21,
  verifyReply: 22,
  bitmap: 23,
  report: 24,
  state: 25,
  syncGeneration: 26,
  currentGeneration: 27,
  stateRequest: 28,
  stateReply: 29,
  sizeRequest: 30,
  sizeReply: 31,
} as const;

/** The name of a kind of frame. */
export type MirrorKind = keyof typeof MIRROR_KINDS;

/** A decoded header. */
export interface MirrorHeader {
  readonly kind: MirrorKind;
  readonly flags: number;
  readonly bodyLength: number;
  readonly bodyCrc: number;
  readonly epoch: number;
}

/** Why bytes are not a frame. */
export class MirrorFrameError extends Error {
  override readonly name = "MirrorFrameError";
}

const MAGIC = 0x4b44_474d; // "KDGM"
const VERSION = 1;
const NAMES = new Map<number, MirrorKind>(
  (Object.keys(MIRROR_KINDS) as MirrorKind[]).map((
    kind,
  ) => [MIRROR_KINDS[kind], kind]),
);

/** Write a header in front of the body that stands behind it in `bytes`. */
export function putMirrorHeader(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  head: {
    readonly kind: MirrorKind;
    readonly flags: number;
    readonly bodyLength: number;
    readonly epoch: number;
  },
): void {
  const bodyAt = at + MIRROR_HEADER_BYTES;
  view.setUint32(at, MAGIC);
  view.setUint8(at + 4, VERSION);
  view.setUint8(at + 5, MIRROR_KINDS[head.kind]);
  view.setUint16(at + 6, head.flags);
  view.setUint32(at + 8, head.bodyLength);
  view.setUint32(
    at + 12,
    head.bodyLength === 0
      ? 0
      : crc32(bytes.subarray(bodyAt, bodyAt + head.bodyLength)),
  );
  putNumber(view, at + 16, head.epoch);
  view.setUint32(at + 24, 0);
  view.setUint32(at + 28, crc32(bytes.subarray(at, at + 28)));
}

/**
 * Read a header.
 *
 * @throws {MirrorFrameError} When it is none, or says what cannot be.
 */
export function mirrorHeaderAt(
  bytes: Uint8Array,
  view: DataView,
  at: number,
): MirrorHeader {
  if (view.getUint32(at) !== MAGIC) {
    throw new MirrorFrameError("not a frame of a mirror");
  }
  if (view.getUint32(at + 28) !== crc32(bytes.subarray(at, at + 28))) {
    throw new MirrorFrameError("damaged header");
  }
  const version = view.getUint8(at + 4);
  if (version !== VERSION) {
    throw new MirrorFrameError(
      `version ${version} of the protocol, this node speaks ${VERSION}`,
    );
  }
  const kind = NAMES.get(view.getUint8(at + 5));
  if (kind === undefined) throw new MirrorFrameError("unknown kind of frame");
  const bodyLength = view.getUint32(at + 8);
  if (bodyLength > MIRROR_BODY_BYTES_MAX) {
    throw new MirrorFrameError(`a body of ${bodyLength} bytes`);
  }
  return {
    kind,
    flags: view.getUint16(at + 6),
    bodyLength,
    bodyCrc: view.getUint32(at + 12),
    epoch: numberAt(view, at + 16),
  };
}

/** Write a whole number below 2^53 as 8 bytes. */
export function putNumber(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / 0x1_0000_0000));
  view.setUint32(at + 4, value % 0x1_0000_0000);
}

/**
 * Read 8 bytes as a number.
 *
 * @throws {MirrorFrameError} When it is 2^53 or more.
 */
export function numberAt(view: DataView, at: number): number {
  const value = view.getUint32(at) * 0x1_0000_0000 + view.getUint32(at + 4);
  if (!Number.isSafeInteger(value)) {
    throw new MirrorFrameError("a number out of range");
  }
  return value;
}
