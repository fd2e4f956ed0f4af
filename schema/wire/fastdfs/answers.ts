/**
 * Bodies of the short answers of trackers and storages.
 *
 * The field for an address is as wide as the cluster needs (`ipBytes`): 16 bytes
 * while every storage has an IPv4 address, 46 otherwise; queries use one byte
 * less. Clients tell the two apart by the length of the body. Source:
 * fastdfs-protocol.md §1 and §3.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { GROUP_BYTES, writeText, writeU64 } from "./fields.ts";

/** Width of an address, in bytes. */
export type IpBytes = 16 | 46;

/** Where a storage listens. */
export interface StorageAddress {
  /** IPv4 or IPv6 address as text. */
  readonly ip: string;
  readonly port: number;
}

/**
 * Where an upload may go, or who may answer: `group[16] {ip port}×N`, and the
 * index of a store path for an upload.
 *
 * @param servers At least one.
 */
export function encodePlace(
  place: {
    readonly group: string;
    readonly servers: readonly StorageAddress[];
    readonly pathIndex?: number | undefined;
  },
  ipBytes: IpBytes,
): Uint8Array {
  const { group, servers, pathIndex } = place;
  const widthBytes = ipBytes - 1;
  const each = widthBytes + 8;
  const end = GROUP_BYTES + servers.length * each;
  const bytes = new Uint8Array(end + (pathIndex === undefined ? 0 : 1));
  writeText(bytes, { at: 0, widthBytes: GROUP_BYTES }, group);
  servers.forEach(({ ip, port }, n) => {
    const at = GROUP_BYTES + n * each;
    writeText(bytes, { at, widthBytes }, ip);
    writeU64(bytes, at + widthBytes, port);
  });
  if (pathIndex !== undefined) bytes[end] = pathIndex;
  return bytes;
}

/** The ID of a file that was made: `group[16] name`. */
export function encodeFileId(id: string): Uint8Array {
  const slash = id.indexOf("/");
  const name = id.slice(slash + 1);
  const bytes = new Uint8Array(GROUP_BYTES + name.length);
  writeText(bytes, { at: 0, widthBytes: GROUP_BYTES }, id.slice(0, slash));
  writeText(bytes, { at: GROUP_BYTES, widthBytes: name.length }, name);
  return bytes;
}

/** Facts about a file: `size[8] time[8] crc[8] ip`. */
export function encodeFileInfo(
  info: {
    readonly sizeBytes: number;
    /** Seconds since the Unix epoch. */
    readonly createdS: number;
    readonly crc32: number;
    /** Address of the storage that made it. */
    readonly ip: string;
  },
  ipBytes: IpBytes,
): Uint8Array {
  const bytes = Buffer.alloc(24 + ipBytes);
  writeU64(bytes, 0, info.sizeBytes);
  writeU64(bytes, 8, info.createdS);
  // The sum is a signed 32-bit number there, and its sign is extended.
  bytes.writeBigInt64BE(BigInt(info.crc32 | 0), 16);
  writeText(bytes, { at: 24, widthBytes: ipBytes }, info.ip);
  return bytes;
}
