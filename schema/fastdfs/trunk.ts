/**
 * Trunk files: FastDFS's packed small files.
 *
 * ```text
 * STORE_PATH/data/HH/LL/NNNNNN      HH/LL as in the file ID, number decimal
 *
 * a row of slots, each: 24 bytes of header, content, room up to its length
 *   0  type       1  'F' file, 'L' link, 0 free
 *   1  allocated  4  length of the slot, header included
 *   5  size       4  of the content
 *   9  crc32      4
 *  13  created    4  seconds since the Unix epoch
 *  17  tail       7  the last 7 characters of the file's name
 *
 * 16 characters of the file ID: base64url of number, offset, allocated
 * ```
 *
 * All numbers are big endian. Source: fastdfs-protocol.md §6 and §8.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { FileId } from "../file_id.ts";

/** Length of the header of a slot, in bytes. */
export const TRUNK_HEADER_BYTES = 24;
/** Largest slot that is believed, in bytes: `trunk_file_size` is 64 MB. */
export const TRUNK_SLOT_BYTES_MAX: number = 2 ** 31 - 1;

const ENCODED_AT = 27;
const ENCODED_LENGTH = 16;
const TAIL_LENGTH = 7;

/** What the header of a slot says. */
export interface TrunkSlot {
  readonly kind: "file" | "link" | "free";
  /** Length of the slot, header included. */
  readonly allocatedBytes: number;
  /** Length of the content. */
  readonly sizeBytes: number;
  readonly crc32: number;
  /** Seconds since the Unix epoch. */
  readonly createdS: number;
  /** Last seven characters of the name. */
  readonly tail: string;
}

/** Where a packed file lies. */
export interface TrunkPlace {
  /** Number of the trunk file. */
  readonly number: number;
  /** Where its slot begins, in bytes. */
  readonly offset: number;
  /** Length of its slot, header included. */
  readonly allocatedBytes: number;
}

const KINDS = { 0x46: "file", 0x4c: "link", 0: "free" } as const;

/**
 * Read the header of a slot.
 *
 * @param bytes At least {@linkcode TRUNK_HEADER_BYTES}.
 * @returns `undefined` when this is no header.
 */
export function readTrunkSlot(bytes: Uint8Array): TrunkSlot | undefined {
  if (bytes.length < TRUNK_HEADER_BYTES) return undefined;
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const type = header.readUInt8(0);
  if (type !== 0x46 && type !== 0x4c && type !== 0) return undefined;
  const allocatedBytes = header.readUInt32BE(1);
  if (allocatedBytes > TRUNK_SLOT_BYTES_MAX) return undefined;
  const tail = header.subarray(17, TRUNK_HEADER_BYTES).toString("latin1");
  return {
    kind: KINDS[type],
    allocatedBytes,
    sizeBytes: header.readUInt32BE(5),
    crc32: header.readUInt32BE(9),
    createdS: header.readUInt32BE(13),
    tail: tail.split("\0", 1)[0] ?? "",
  };
}

/** Write the header of a slot. */
export function encodeTrunkSlot(slot: TrunkSlot): Uint8Array<ArrayBuffer> {
  const header = Buffer.alloc(TRUNK_HEADER_BYTES);
  const type = { file: 0x46, link: 0x4c, free: 0 }[slot.kind];
  header.writeUInt8(type, 0);
  header.writeUInt32BE(slot.allocatedBytes, 1);
  header.writeUInt32BE(slot.sizeBytes, 5);
  header.writeUInt32BE(slot.crc32, 9);
  header.writeUInt32BE(slot.createdS, 13);
  header.write(slot.tail.slice(0, TAIL_LENGTH), 17, "latin1");
  return new Uint8Array(header);
}

/**
 * Where the file of an ID lies.
 *
 * @returns `undefined` when it is not a packed one.
 */
export function trunkPlace(id: FileId): TrunkPlace | undefined {
  if (id.kind !== "trunk") return undefined;
  const encoded = id.name.slice(ENCODED_AT, ENCODED_AT + ENCODED_LENGTH);
  const bytes = Buffer.from(encoded, "base64url");
  if (bytes.length !== 12) return undefined;
  const place = {
    number: bytes.readUInt32BE(0),
    offset: bytes.readUInt32BE(4),
    allocatedBytes: bytes.readUInt32BE(8),
  };
  const isRoom = place.allocatedBytes >= TRUNK_HEADER_BYTES &&
    place.allocatedBytes <= TRUNK_SLOT_BYTES_MAX;
  return isRoom ? place : undefined;
}

/** Write what {@linkcode trunkPlace} reads: 16 characters. */
export function encodeTrunkPlace(place: TrunkPlace): string {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(place.number, 0);
  bytes.writeUInt32BE(place.offset, 4);
  bytes.writeUInt32BE(place.allocatedBytes, 8);
  return bytes.toString("base64url");
}

/** Last seven characters of a name: what its slot repeats. */
export function tailOf(id: FileId): string {
  return id.name.slice(-TAIL_LENGTH);
}

/** Name of a trunk file in its folder, such as `000001`. */
export function trunkFileName(number: number): string {
  return String(number).padStart(6, "0");
}

/** Whether this is the name of a trunk file. */
export function isTrunkFileName(name: string): boolean {
  return /^\d{6,10}$/.test(name);
}

/**
 * Why a slot is not that of a file, or `undefined`. FastDFS answers "no such
 * file" then: the slot was freed, and perhaps given to another file.
 */
export function slotFault(slot: TrunkSlot, id: FileId): string | undefined {
  if (slot.kind === "free") return "its slot is free";
  const place = trunkPlace(id);
  if (slot.allocatedBytes !== place?.allocatedBytes) {
    return `its slot has ${slot.allocatedBytes} bytes, the ID says ${place?.allocatedBytes}`;
  }
  if (slot.kind === "link") return undefined;
  const isSame = slot.sizeBytes === id.sizeBytes && slot.crc32 === id.crc32 &&
    slot.createdS === id.createdS && slot.tail === tailOf(id);
  return isSame ? undefined : "its slot holds another file now";
}
