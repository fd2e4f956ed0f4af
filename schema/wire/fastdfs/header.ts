/**
 * The 10 bytes before every request and answer of FastDFS, and what their last
 * two mean.
 *
 * ```text
 * 0  body length  8  signed, big endian, without the header
 * 8  command      1  100 in every answer
 * 9  status       1  of an answer: 0 or a Linux errno
 * ```
 *
 * Source: fastdfs-protocol.md §1 and §2.
 *
 * @module
 */

import { readU64, writeU64 } from "./fields.ts";

/** Length of a header, in bytes. */
export const HEADER_BYTES = 10;

/** One header. */
export interface Header {
  /** Length of the body, in bytes. */
  readonly bodyBytes: number;
  /** Command, see {@linkcode COMMAND}. */
  readonly command: number;
  /** Status of an answer; flags in a few requests. */
  readonly status: number;
}

/** Commands of clients. */
export const COMMAND = {
  upload: 11,
  delete: 12,
  setMeta: 13,
  download: 14,
  getMeta: 15,
  createLink: 20,
  uploadSlave: 21,
  fileInfo: 22,
  uploadAppender: 23,
  append: 24,
  modify: 34,
  truncate: 36,
  regenerate: 38,
  trackerStatus: 64,
  storageIds: 69,
  serverId: 70,
  storageStatus: 71,
  parameters: 75,
  quit: 82,
  listOneGroup: 90,
  listGroups: 91,
  listStorages: 92,
  deleteStorage: 93,
  setTrunkServer: 94,
  leader: 95,
  trackerStats: 96,
  storageStats: 97,
  volumeStats: 98,
  response: 100,
  storeOne: 101,
  fetchOne: 102,
  update: 103,
  storeGroupOne: 104,
  fetchAll: 105,
  storeAll: 106,
  storeGroupAll: 107,
  deleteGroup: 108,
  activeTest: 111,
} as const;

/** Status bytes: numbers of Linux errors. */
export const STATUS = {
  ok: 0,
  notPermitted: 1,
  notFound: 2,
  ioError: 5,
  again: 11,
  access: 13,
  busy: 16,
  exists: 17,
  invalid: 22,
  tooLarge: 27,
  noSpace: 28,
  readOnly: 30,
  unsupported: 95,
  timedOut: 110,
  already: 114,
} as const;

/**
 * Read a header.
 *
 * @param bytes At least 10.
 * @returns `undefined` when the length is negative or no safe integer.
 *
 * @example The length is signed
 * ```ts
 * import { readHeader } from "@kedge/schema/wire/fastdfs";
 * import assert from "node:assert/strict";
 *
 * const test = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 111, 0);
 * assert.deepEqual(readHeader(test), { bodyBytes: 0, command: 111, status: 0 });
 * assert.equal(readHeader(test.fill(255)), undefined);
 * ```
 */
export function readHeader(bytes: Uint8Array): Header | undefined {
  const bodyBytes = readU64(bytes, 0);
  if (bodyBytes === undefined) return undefined;
  return { bodyBytes, command: bytes[8] ?? 0, status: bytes[9] ?? 0 };
}

/**
 * Write a header.
 *
 * @param into At least 10 bytes.
 */
export function writeHeader(into: Uint8Array, header: Header): void {
  writeU64(into, 0, header.bodyBytes);
  into[8] = header.command;
  into[9] = header.status;
}

/**
 * A whole answer.
 *
 * @param status See {@linkcode STATUS}.
 * @param body Its body; an answer that is an error has none.
 */
export function encodeAnswer(
  status: number,
  body: Uint8Array = new Uint8Array(),
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER_BYTES + body.length);
  const { response: command } = COMMAND;
  writeHeader(bytes, { bodyBytes: body.length, command, status });
  bytes.set(body, HEADER_BYTES);
  return bytes;
}
