/**
 * The statistics of a storage, as FastDFS's storages report them to a tracker
 * and monitors read them: three numbers of 4 bytes about connections, then
 * numbers of 8 bytes, mostly in pairs of all and successful ones.
 *
 * Source: fastdfs-protocol.md §3, statistics block.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { writeU64 } from "./fields.ts";

/** Length of the block of FastDFS 6, in bytes. */
export const STATISTICS_BYTES = 348;

/** All, and the successful ones. */
export interface StatisticsPair {
  readonly total: number;
  readonly success: number;
}

/** What monitors show of a storage. Times in seconds since the Unix epoch. */
export interface StorageStatistics {
  readonly connections: { readonly current: number; readonly most: number };
  readonly upload: StatisticsPair;
  readonly append: StatisticsPair;
  readonly modify: StatisticsPair;
  readonly truncate: StatisticsPair;
  readonly setMeta: StatisticsPair;
  readonly delete: StatisticsPair;
  readonly download: StatisticsPair;
  readonly getMeta: StatisticsPair;
  readonly createLink: StatisticsPair;
  readonly uploadBytes: StatisticsPair;
  readonly appendBytes: StatisticsPair;
  readonly modifyBytes: StatisticsPair;
  readonly downloadBytes: StatisticsPair;
  readonly sourceUpdateS: number;
  readonly syncUpdateS: number;
  /** Changes of others up to this moment are stored. */
  readonly syncedS: number;
}

const NONE: StatisticsPair = { total: 0, success: 0 };

/** Connections: 12 bytes, allocated, current, most. */
export function encodeConnections(
  { current, most }: StorageStatistics["connections"],
): Uint8Array {
  const bytes = Buffer.alloc(12);
  // FastDFS keeps what it has allocated: the most there ever were.
  [most, current, most].forEach((count, n) =>
    bytes.writeUInt32BE(Math.min(count, 0xffff_ffff), 4 * n)
  );
  return bytes;
}

/**
 * The 42 numbers of 8 bytes.
 *
 * @param stats All zeros when missing.
 * @param heardS When the storage was last heard.
 */
export function statisticsNumbers(
  stats: StorageStatistics | undefined,
  heardS: number,
): number[] {
  const pairs = stats === undefined ? Array<StatisticsPair>(19).fill(NONE) : [
    stats.upload,
    stats.append,
    stats.modify,
    stats.truncate,
    stats.setMeta,
    stats.delete,
    stats.download,
    stats.getMeta,
    stats.createLink,
    NONE, // delete link
    stats.uploadBytes,
    stats.appendBytes,
    stats.modifyBytes,
    stats.downloadBytes,
    NONE, // bytes from others: not counted
    NONE, // bytes to others: not counted
    NONE, // files opened: not counted
    NONE, // reads of files: not counted
    NONE, // writes to files: not counted
  ];
  const { sourceUpdateS = 0, syncUpdateS = 0, syncedS = 0 } = stats ?? {};
  return [
    ...pairs.flatMap(({ total, success }) => [total, success]),
    ...[sourceUpdateS, syncUpdateS, syncedS, heardS],
  ];
}

/** The block: 348 bytes. */
export function encodeStatistics(
  stats: StorageStatistics | undefined,
  heardS: number,
): Uint8Array {
  const bytes = Buffer.alloc(STATISTICS_BYTES);
  if (stats !== undefined) bytes.set(encodeConnections(stats.connections));
  statisticsNumbers(stats, heardS)
    .forEach((value, n) => writeU64(bytes, 12 + 8 * n, value));
  return bytes;
}
