/**
 * Records of groups, storages and their statistics, as monitors read them.
 *
 * Source: fastdfs-protocol.md §3, tables of commands 90 to 98.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { IpBytes } from "./answers.ts";
import { STORAGE_ID_BYTES, writeText, writeU64 } from "./fields.ts";
import {
  encodeConnections,
  encodeStatistics,
  type StorageStatistics,
} from "./statistics.ts";

/** Length of a group's record, in bytes (FastDFS 6.13.1 and later). */
export const GROUP_RECORD_BYTES = 113;
/** Length of a storage's record with IPv4 addresses, in bytes. */
export const STORAGE_RECORD_BYTES = 487;

/** State of a storage. */
export const STORAGE_STATUS = {
  waitSync: 1,
  syncing: 2,
  deleted: 4,
  offline: 5,
  online: 6,
  active: 7,
} as const;

/** State, port, ID and address of a storage: `status[1] port[4] id[16] ip[46]`. */
export function encodeBrief(
  { status, port, id, ip }: Pick<
    StorageRecord,
    "status" | "port" | "id" | "ip"
  >,
): Uint8Array {
  const bytes = Buffer.alloc(67);
  bytes[0] = status;
  bytes.writeUInt32BE(port, 1);
  writeText(bytes, { at: 5, widthBytes: STORAGE_ID_BYTES }, id);
  writeText(bytes, { at: 21, widthBytes: 46 }, ip);
  return bytes;
}

/** A group, as lists show it. Sizes are in MiB. */
export interface GroupRecord {
  readonly group: string;
  readonly totalMb: number;
  readonly freeMb: number;
  readonly reservedMb: number;
  readonly storageCount: number;
  readonly storagePort: number;
  readonly readableCount: number;
  readonly writableCount: number;
  readonly storePathCount: number;
  readonly subdirCount: number;
}

/** A storage, as lists show it. Sizes are in MiB, times in seconds. */
export interface StorageRecord {
  readonly status: number;
  /** 0 none, 4 reads, 6 reads and writes. */
  readonly rwMode: number;
  readonly id: string;
  readonly ip: string;
  /** Eight characters at most. */
  readonly version: string;
  readonly joinedS: number;
  readonly startedS: number;
  readonly totalMb: number;
  readonly freeMb: number;
  readonly reservedMb: number;
  readonly uploadPriority: number;
  readonly storePathCount: number;
  readonly subdirCount: number;
  readonly port: number;
  readonly heardS: number;
  /** What it counted; all zeros when missing. */
  readonly stats?: StorageStatistics | undefined;
}

/** A group's record: 113 bytes. */
export function encodeGroupRecord(record: GroupRecord): Uint8Array {
  const bytes = Buffer.alloc(GROUP_RECORD_BYTES);
  writeText(bytes, { at: 0, widthBytes: 16 }, record.group);
  writeNumbers(bytes, 17, [
    record.totalMb,
    record.freeMb,
    record.reservedMb,
    0, // free in trunk files: there are none
    record.storageCount,
    record.storagePort,
    record.readableCount,
    record.writableCount,
    0, // current write server: the choice has no state
    record.storePathCount,
    record.subdirCount,
  ]);
  bytes.writeBigInt64BE(-1n, 105); // no trunk file
  return bytes;
}

/** A storage's record: 487 bytes, or 517 with wide addresses. */
export function encodeStorageRecord(
  record: StorageRecord,
  ipBytes: IpBytes,
): Uint8Array {
  const bytes = Buffer.alloc(STORAGE_RECORD_BYTES + ipBytes - 16);
  bytes[0] = record.status;
  bytes[1] = record.rwMode;
  writeText(bytes, { at: 2, widthBytes: 15 }, record.id);
  writeText(bytes, { at: 18, widthBytes: ipBytes - 1 }, record.ip);
  const versionAt = 18 + ipBytes + 16;
  writeText(bytes, { at: versionAt, widthBytes: 8 }, record.version);
  writeNumbers(bytes, versionAt + 8, [
    record.joinedS,
    record.startedS,
    record.totalMb,
    record.freeMb,
    record.reservedMb,
    record.uploadPriority,
    record.storePathCount,
    record.subdirCount,
    0, // current write path: the choice has no state
    record.port,
  ]);
  bytes.set(encodeStatistics(record.stats, record.heardS), versionAt + 88);
  return bytes;
}

/** A tracker in a cluster's statistics: 90 bytes. */
export function encodeTrackerStat(
  stat: { readonly host: string; readonly version: string },
): Uint8Array {
  const bytes = Buffer.alloc(90);
  writeText(bytes, { at: 0, widthBytes: 51 }, stat.host);
  bytes[52] = 1;
  bytes[53] = 1;
  writeText(bytes, { at: 66, widthBytes: 8 }, stat.version);
  return bytes;
}

/** A storage in a cluster's statistics: 106 bytes. */
export function encodeStorageStat(
  stat: Pick<StorageRecord, "id" | "status" | "version" | "heardS"> & {
    /** Address with port. */
    readonly host: string;
    readonly startedS?: number;
    readonly stats?: StorageStatistics | undefined;
  },
): Uint8Array {
  const bytes = Buffer.alloc(106);
  writeText(bytes, { at: 0, widthBytes: 15 }, stat.id);
  writeText(bytes, { at: 16, widthBytes: 51 }, stat.host);
  bytes[69] = stat.status;
  if (stat.stats !== undefined) {
    bytes.set(encodeConnections(stat.stats.connections), 70);
  }
  writeText(bytes, { at: 82, widthBytes: 8 }, stat.version);
  writeU64(bytes, 90, stat.startedS ?? 0);
  writeU64(bytes, 98, stat.heardS);
  return bytes;
}

/** A group in a cluster's statistics: 59 bytes. */
export function encodeVolumeStat(
  record: Pick<GroupRecord, "group" | "totalMb" | "freeMb" | "reservedMb">,
): Uint8Array {
  const bytes = Buffer.alloc(59);
  writeText(bytes, { at: 0, widthBytes: 16 }, record.group);
  const availableMb = Math.max(0, record.freeMb - record.reservedMb);
  const { totalMb, freeMb, reservedMb } = record;
  writeNumbers(bytes, 17, [totalMb, freeMb, reservedMb, availableMb, 0]);
  bytes[57] = Number(availableMb > 0);
  return bytes;
}

function writeNumbers(
  bytes: Uint8Array,
  at: number,
  values: readonly number[],
): void {
  values.forEach((value, n) => {
    const whole = Math.min(
      Math.max(0, Math.trunc(value)),
      Number.MAX_SAFE_INTEGER,
    );
    writeU64(bytes, at + 8 * n, whole);
  });
}
