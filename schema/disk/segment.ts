/**
 * Layout of a segment: a file that holds the bytes of many small files.
 *
 * ```text
 * segment = record*              every record begins at a multiple of 8
 * record  = header  ID  body  zeros up to a multiple of 8
 * header  = 0  "KSG1"            8  length of the body     24 version (u64)
 *           4  state: 1 or 0    12  CRC-32 of the body     32 CRC-32C of the header
 *           5  0                16  epoch (u64)               without the state,
 *           6  length of the ID                               and of the ID
 *           36 0   (CRC-32C is not inverted at its end)
 * ```
 *
 * Numbers are little endian. The state says whether the file was there when it
 * was last looked at; only a rebuilt index asks it, so it is outside of the
 * checksum and can be changed where it lies.
 *
 * @module
 */

import { crc32cDrbd } from "./crc32c.ts";

/** Bytes of a record before its ID. */
export const RECORD_HEADER_BYTES = 40;
/** Every record begins at a multiple of this. */
export const RECORD_ALIGN_BYTES = 8;
/** Offset of the state in a record. */
export const RECORD_STATE_AT = 4;
/** Longest file ID, in bytes. */
export const RECORD_ID_BYTES_MAX = 1024;
/** State of a record of which the file is gone. */
export const DEAD = 0;
const LIVE = 1;
const MAGIC = 0x3147534b; // "KSG1"

/** What a record says about its file. */
export interface RecordHead {
  /** File ID. */
  readonly id: string;
  readonly epoch: number;
  /** Version whose bytes these are; metadata may have had later ones. */
  readonly version: number;
  /** Length of the body, in bytes. */
  readonly sizeBytes: number;
  /** CRC-32 of the body. */
  readonly crc32: number;
}

/** A record that was found in a segment. */
export interface FoundRecord extends RecordHead {
  /** Whether the file was there. */
  readonly isLive: boolean;
  /** Where the body begins, from the start of the record. */
  readonly bodyAt: number;
  /** Length of the record with what fills it up, in bytes. */
  readonly lengthBytes: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Length of a record, in bytes. */
export function recordLength(id: string, sizeBytes: number): number {
  const bytes = RECORD_HEADER_BYTES + encoder.encode(id).length + sizeBytes;
  return Math.ceil(bytes / RECORD_ALIGN_BYTES) * RECORD_ALIGN_BYTES;
}

/**
 * Make a record.
 *
 * @param head Its length and checksum are those of `body`.
 * @throws {RangeError} When the ID is too long or the length is another.
 */
export function encodeRecord(
  head: RecordHead,
  body: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const id = encoder.encode(head.id);
  if (id.length === 0 || id.length > RECORD_ID_BYTES_MAX) {
    throw new RangeError(`An ID of ${id.length} bytes fits no record`);
  }
  if (body.length !== head.sizeBytes) {
    throw new RangeError(`${body.length} of ${head.sizeBytes} bytes are here`);
  }
  const bytes = new Uint8Array(recordLength(head.id, body.length));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint8(RECORD_STATE_AT, LIVE);
  view.setUint16(6, id.length, true);
  view.setUint32(8, body.length, true);
  view.setUint32(12, head.crc32, true);
  view.setBigUint64(16, BigInt(head.epoch), true);
  view.setBigUint64(24, BigInt(head.version), true);
  bytes.set(id, RECORD_HEADER_BYTES);
  view.setUint32(32, sumOf(bytes, id.length), true);
  bytes.set(body, RECORD_HEADER_BYTES + id.length);
  return bytes;
}

/**
 * Read the head of a record.
 *
 * @param bytes From the start of a record; at least its header and ID.
 * @returns `undefined` when there is none, or one that is damaged.
 */
export function decodeRecord(bytes: Uint8Array): FoundRecord | undefined {
  if (bytes.length < RECORD_HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(0, true) !== MAGIC) return undefined;
  const idLength = view.getUint16(6, true);
  const bodyAt = RECORD_HEADER_BYTES + idLength;
  if (idLength > RECORD_ID_BYTES_MAX || bytes.length < bodyAt) return undefined;
  if (sumOf(bytes, idLength) !== view.getUint32(32, true)) return undefined;
  const sizeBytes = view.getUint32(8, true);
  const end = bodyAt + sizeBytes;
  try {
    return {
      id: decoder.decode(bytes.subarray(RECORD_HEADER_BYTES, bodyAt)),
      epoch: Number(view.getBigUint64(16, true)),
      version: Number(view.getBigUint64(24, true)),
      sizeBytes,
      crc32: view.getUint32(12, true),
      isLive: view.getUint8(RECORD_STATE_AT) !== DEAD,
      bodyAt,
      lengthBytes: Math.ceil(end / RECORD_ALIGN_BYTES) * RECORD_ALIGN_BYTES,
    };
  } catch {
    return undefined; // the ID is no text
  }
}

/** Checksum of a header and its ID: neither its state nor itself. */
function sumOf(bytes: Uint8Array, idLength: number): number {
  const head = bytes.slice(0, RECORD_HEADER_BYTES + idLength);
  head[RECORD_STATE_AT] = 0;
  head.fill(0, 32, 36);
  return crc32cDrbd(head, 0xffffffff);
}

/** A segment as the index knows it. */
export interface SegmentFacts {
  readonly segment: number;
  /** Bytes that were stored in it. */
  readonly sizeBytes: number;
  /** Bytes of records that the index names. */
  readonly liveBytes: number;
}

/**
 * The segment that is worth being copied.
 *
 * The oldest comes first: a record that was moved out of it, when that was
 * interrupted, is still live there, and what says that its file is deleted lies
 * in a later segment, which must not go before.
 *
 * @param segments Of one store path.
 * @param isBusy Whether a segment is written to, or cannot be copied now.
 * @returns The first one of which less than half is needed, if there is one.
 */
export function segmentToCompact<Segment extends SegmentFacts>(
  segments: readonly Segment[],
  isBusy: (segment: number) => boolean,
): Segment | undefined {
  return segments
    .filter(({ liveBytes, sizeBytes }) =>
      2 * liveBytes < sizeBytes || sizeBytes === 0
    )
    .filter(({ segment }) => !isBusy(segment))
    .toSorted((a, b) => a.segment - b.segment).at(0);
}
