/**
 * Byte layout of an undo file: what a volume held before the data of its peer
 * replaced it, after a split brain that ended with `--discard-my-data`.
 *
 * ```text
 * offset  size   field
 *      0     8   magic "KDGUNDO1"
 *      8     4   length of the JSON (UndoHead)
 *     12     4   CRC-32 of the JSON
 *     16  4080   JSON, padded with zeroes
 *   4096     …   records, one behind the other
 *
 * record:    4   magic "KDGU"
 *            4   length of the content; 0: the end, everything was replaced
 *            8   offset in the volume
 *            4   CRC-32 of the content
 *            4   CRC-32 of bytes 0..19
 *            …   content
 * ```
 *
 * Integers are big-endian. A file without an end is the file of a resync that
 * still runs or was cut; its last record may be torn, which its CRC tells.
 *
 * Pure: bytes in, values out.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { z } from "zod";

/** Where the records begin, in bytes. */
export const UNDO_HEAD_BYTES = 4096;
/** In front of each content, in bytes. */
export const UNDO_RECORD_BYTES = 24;
/** The longest content of a record, in bytes. */
export const UNDO_CONTENT_BYTES_MAX = 128 * 1024;

const HEAD_MAGIC = new TextEncoder().encode("KDGUNDO1");
const RECORD_MAGIC = 0x4b44_4755; // "KDGU"
const JSON_AT = 16;

/** What a file is about. */
export const UndoHead = z.object({
  resource: z.string().min(1).max(128),
  volume: z.int().min(0).max(65_535),
  /** The generation whose data is kept, 16 hex digits. */
  generation: z.string().regex(/^[0-9A-F]{16}$/),
  /** Size of the volume, in bytes. */
  sizeBytes: z.int().min(0),
  /** When it was begun, in ms since 1970. For people. */
  createdMs: z.int().min(0),
});
/** What a file is about. */
export type UndoHead = z.infer<typeof UndoHead>;

/** The head of a record. */
export interface UndoRecord {
  readonly offset: number;
  /** 0: the end. */
  readonly lengthBytes: number;
  readonly contentCrc: number;
}

/** Encode the head of a file. */
export function encodeUndoHead(head: UndoHead): Uint8Array {
  const bytes = new Uint8Array(UNDO_HEAD_BYTES);
  const json = new TextEncoder().encode(JSON.stringify(head));
  bytes.set(HEAD_MAGIC);
  bytes.set(json, JSON_AT);
  const view = new DataView(bytes.buffer);
  view.setUint32(8, json.length);
  view.setUint32(12, crc32(json));
  return bytes;
}

/** Decode it; undefined: it is none, or it is damaged. */
export function decodeUndoHead(bytes: Uint8Array): UndoHead | undefined {
  if (bytes.length < UNDO_HEAD_BYTES) return undefined;
  if (!HEAD_MAGIC.every((byte, at) => bytes[at] === byte)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const length = view.getUint32(8);
  if (length > UNDO_HEAD_BYTES - JSON_AT) return undefined;
  const json = bytes.subarray(JSON_AT, JSON_AT + length);
  if (crc32(json) !== view.getUint32(12)) return undefined;
  try {
    return UndoHead.parse(JSON.parse(new TextDecoder().decode(json)));
  } catch {
    return undefined;
  }
}

/**
 * Write the head of a record whose content stands behind it in `bytes`.
 *
 * @returns The offset behind the record.
 */
export function putUndoRecord(
  bytes: Uint8Array,
  at: number,
  place: { readonly offset: number; readonly lengthBytes: number },
): number {
  const end = at + UNDO_RECORD_BYTES + place.lengthBytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(at, RECORD_MAGIC);
  view.setUint32(at + 4, place.lengthBytes);
  view.setUint32(at + 8, Math.floor(place.offset / 0x1_0000_0000));
  view.setUint32(at + 12, place.offset % 0x1_0000_0000);
  view.setUint32(at + 16, crc32(bytes.subarray(at + UNDO_RECORD_BYTES, end)));
  view.setUint32(at + 20, crc32(bytes.subarray(at, at + 20)));
  return end;
}

/** Decode the head of a record; undefined: it is torn, the file ends here. */
export function decodeUndoRecord(
  bytes: Uint8Array,
  sizeBytes: number,
): UndoRecord | undefined {
  if (bytes.length < UNDO_RECORD_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (view.getUint32(0) !== RECORD_MAGIC) return undefined;
  if (view.getUint32(20) !== crc32(bytes.subarray(0, 20))) return undefined;
  const lengthBytes = view.getUint32(4);
  const offset = view.getUint32(8) * 0x1_0000_0000 + view.getUint32(12);
  const fits = lengthBytes <= UNDO_CONTENT_BYTES_MAX &&
    offset + lengthBytes <= sizeBytes;
  return fits
    ? { offset, lengthBytes, contentCrc: view.getUint32(16) }
    : undefined;
}
