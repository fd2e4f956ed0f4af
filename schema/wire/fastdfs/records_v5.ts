/**
 * Records of groups and storages as FastDFS 5 wrote them, for clients that know
 * nothing newer: they tell versions apart by the length alone. Source:
 * fastdfs-protocol.md §3; offsets of the storage's record as such a client
 * (`fdfs` 1.0.4) reads them.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { writeText, writeU64 } from "./fields.ts";
import type { GroupRecord, StorageRecord } from "./records.ts";
import { statisticsNumbers } from "./statistics.ts";

/** Length of a group's record, in bytes. */
export const OLD_GROUP_RECORD_BYTES = 105;
/** Length of a storage's record, in bytes. */
export const OLD_STORAGE_RECORD_BYTES = 600;

const NUMBERS_AT = 183;
const COUNTED_AT = NUMBERS_AT + 10 * 8;

/** A group's record: 105 bytes. */
export function encodeOldGroupRecord(record: GroupRecord): Uint8Array {
  const bytes = Buffer.alloc(OLD_GROUP_RECORD_BYTES);
  writeText(bytes, { at: 0, widthBytes: 16 }, record.group);
  writeNumbers(bytes, 17, [
    record.totalMb,
    record.freeMb,
    0, // free in trunk files
    record.storageCount,
    record.storagePort,
    0, // port for HTTP
    record.readableCount,
    0, // current write server
    record.storePathCount,
    record.subdirCount,
    0, // current trunk file
  ]);
  return bytes;
}

/** A storage's record: 600 bytes; IPv4 only. */
export function encodeOldStorageRecord(record: StorageRecord): Uint8Array {
  const bytes = Buffer.alloc(OLD_STORAGE_RECORD_BYTES);
  bytes[0] = record.status;
  writeText(bytes, { at: 1, widthBytes: 15 }, record.id);
  writeText(bytes, { at: 17, widthBytes: 15 }, record.ip.slice(0, 15));
  writeText(bytes, { at: 177, widthBytes: 6 }, record.version.slice(0, 6));
  writeNumbers(bytes, NUMBERS_AT, [
    record.joinedS,
    record.startedS,
    record.totalMb,
    record.freeMb,
    record.uploadPriority,
    record.storePathCount,
    record.subdirCount,
    0, // current write path
    record.port,
    0, // port for HTTP
  ]);
  writeNumbers(
    bytes,
    COUNTED_AT,
    statisticsNumbers(record.stats, record.heardS),
  );
  return bytes;
}

function writeNumbers(
  bytes: Uint8Array,
  at: number,
  values: readonly number[],
): void {
  values.forEach((value, n) =>
    writeU64(bytes, at + 8 * n, Math.max(0, Math.trunc(value)))
  );
}
