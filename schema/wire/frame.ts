/**
 * The 28-byte header in front of every frame that two agents exchange.
 *
 * ```text
 * offset  size  field       notes
 *      0     4  magic       "KDGE"
 *      4     1  version     1
 *      5     1  kind        see FRAME_KINDS
 *      6     2  flags       bit 0: the sender waits for a flush; others zero
 *      8     4  bodyLength  bytes after the header, at most FRAME_BODY_BYTES_MAX
 *     12     4  bodyCrc     CRC-32 of the body; 0 when the body is empty
 *     16     8  epoch       register epoch that the sender acts under; 0 is none
 *     24     4  headerCrc   CRC-32 of bytes 0..23
 * ```
 *
 * All integers are big-endian. The header has its own checksum so that a reader
 * can trust `bodyLength` before it allocates anything for the body. What a body
 * holds is in `sync.ts` and `records.ts`.
 *
 * Pure: bytes in, values out.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { FRAME_BODY_BYTES_MAX } from "../limits.ts";

/** Size of an encoded header, in bytes. */
export const FRAME_HEADER_BYTES = 28;

/** What a frame says, by its number on the wire. Never renumber; only append. */
export const FRAME_KINDS = {
  "hello": 1,
  "challenge": 2,
  "proof": 3,
  "state": 4,
  "register": 5,
  "records": 6,
  "ack": 7,
  "reject": 8,
  "join-request": 9,
  "promise": 10,
  "ping": 11,
  "pong": 12,
  "refusal": 13,
  "digests-request": 14,
  "digests": 15,
  "bucket-request": 16,
  "bucket": 17,
  "content-request": 18,
  "content-head": 19,
  "chunk": 20,
  "end": 21,
  "stage": 22,
  "staged": 23,
  "give": 24,
  "given": 25,
  "report-request": 26,
  "report": 27,
} as const;

/** The name of a frame kind. */
export type FrameKind = keyof typeof FRAME_KINDS;

/** A decoded frame header. */
export interface FrameHeader {
  /** What the frame says. */
  readonly kind: FrameKind;
  /** Whether the sender waits until what it sends is flushed. */
  readonly durable: boolean;
  /** Length of the body, in bytes. */
  readonly bodyLength: number;
  /** CRC-32 of the body. */
  readonly bodyCrc: number;
  /** Epoch that the sender acts under; 0 before it knows a register. */
  readonly epoch: number;
}

/** A whole frame. */
export interface Frame extends FrameHeader {
  /** Its body. */
  readonly body: Uint8Array<ArrayBuffer>;
}

/** Why a header is refused. */
export type HeaderFault =
  | "bad-magic"
  | "bad-checksum"
  | "bad-version"
  | "unknown-kind"
  | "unknown-flags"
  | "body-too-long"
  | "epoch-too-large";

/** A header, or the first rule that it breaks. */
export type DecodedHeader =
  | { readonly ok: true; readonly header: FrameHeader }
  | { readonly ok: false; readonly fault: HeaderFault };

const MAGIC = 0x4b44_4745; // "KDGE"
const VERSION = 1;
const FLAG_DURABLE = 1;
const AT = {
  magic: 0,
  version: 4,
  kind: 5,
  flags: 6,
  bodyLength: 8,
  bodyCrc: 12,
  epoch: 16,
  headerCrc: 24,
} as const;

const KIND_BY_NUMBER = new Map<number, FrameKind>(
  (Object.keys(FRAME_KINDS) as FrameKind[]).map((
    kind,
  ) => [FRAME_KINDS[kind], kind]),
);

/** What to say in a frame. */
export interface FrameToSend {
  /** What the frame says. */
  readonly kind: FrameKind;
  /** Epoch that the sender acts under; 0 before it knows a register. */
  readonly epoch: number;
  /** Whether the sender waits for a flush. */
  readonly durable?: boolean | undefined;
  /** The body, in pieces; not copied. */
  readonly parts?: readonly Uint8Array[] | undefined;
}

/**
 * Encode a frame as pieces that are to be written one after the other.
 *
 * @returns The header, followed by the given parts as they are.
 * @throws {RangeError} When the body is longer than allowed.
 */
export function encodeFrame(frame: FrameToSend): Uint8Array[] {
  const parts = frame.parts ?? [];
  let bodyLength = 0;
  let bodyCrc = 0;
  for (const part of parts) {
    bodyLength += part.length;
    bodyCrc = crc32(part, bodyCrc);
  }
  const header = encodeHeader({
    kind: frame.kind,
    durable: frame.durable ?? false,
    bodyLength,
    bodyCrc,
    epoch: frame.epoch,
  });
  return [header, ...parts];
}

/**
 * Encode a header.
 *
 * @throws {RangeError} When a number does not fit its field.
 */
export function encodeHeader(header: FrameHeader): Uint8Array<ArrayBuffer> {
  mustFit("bodyLength", header.bodyLength, FRAME_BODY_BYTES_MAX);
  mustFit("bodyCrc", header.bodyCrc, 0xffff_ffff);
  mustFit("epoch", header.epoch, Number.MAX_SAFE_INTEGER);
  const bytes = new Uint8Array(FRAME_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(AT.magic, MAGIC);
  view.setUint8(AT.version, VERSION);
  view.setUint8(AT.kind, FRAME_KINDS[header.kind]);
  view.setUint16(AT.flags, header.durable ? FLAG_DURABLE : 0);
  view.setUint32(AT.bodyLength, header.bodyLength);
  view.setUint32(AT.bodyCrc, header.bodyCrc);
  view.setBigUint64(AT.epoch, BigInt(header.epoch));
  view.setUint32(AT.headerCrc, crc32(bytes.subarray(0, AT.headerCrc)));
  return bytes;
}

/**
 * Decode a header.
 *
 * @param bytes Exactly {@linkcode FRAME_HEADER_BYTES} bytes.
 * @returns The header, or the first rule that it breaks.
 *
 * @example A damaged header is refused
 * ```ts
 * import { decodeHeader, encodeHeader } from "@kedge/schema/wire/frame";
 * import assert from "node:assert/strict";
 *
 * const bytes = encodeHeader({
 *   kind: "ping", durable: false, bodyLength: 0, bodyCrc: 0, epoch: 3,
 * });
 * assert.equal(decodeHeader(bytes).ok, true);
 *
 * bytes[16] = 0xff;
 * assert.deepEqual(decodeHeader(bytes), { ok: false, fault: "bad-checksum" });
 * ```
 */
export function decodeHeader(bytes: Uint8Array): DecodedHeader {
  if (bytes.length !== FRAME_HEADER_BYTES) {
    throw new RangeError(
      `Cannot decode header: got ${bytes.length} bytes, need ${FRAME_HEADER_BYTES}`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(AT.magic) !== MAGIC) return refuse("bad-magic");
  const crc = crc32(bytes.subarray(0, AT.headerCrc));
  if (view.getUint32(AT.headerCrc) !== crc) return refuse("bad-checksum");
  if (view.getUint8(AT.version) !== VERSION) return refuse("bad-version");
  const kind = KIND_BY_NUMBER.get(view.getUint8(AT.kind));
  if (kind === undefined) return refuse("unknown-kind");
  const flags = view.getUint16(AT.flags);
  if ((flags & ~FLAG_DURABLE) !== 0) return refuse("unknown-flags");
  const bodyLength = view.getUint32(AT.bodyLength);
  if (bodyLength > FRAME_BODY_BYTES_MAX) return refuse("body-too-long");
  const epoch = Number(view.getBigUint64(AT.epoch));
  if (!Number.isSafeInteger(epoch)) return refuse("epoch-too-large");
  const durable = flags === FLAG_DURABLE;
  const bodyCrc = view.getUint32(AT.bodyCrc);
  return { ok: true, header: { kind, durable, bodyLength, bodyCrc, epoch } };
}

function refuse(fault: HeaderFault): DecodedHeader {
  return { ok: false, fault };
}

function mustFit(field: string, value: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= 0 && value <= max) return;
  throw new RangeError(
    `Cannot encode header: ${field} must be 0..${max}, got ${value}`,
  );
}
