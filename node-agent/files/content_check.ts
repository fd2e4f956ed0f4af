/**
 * Whether the bytes on the disk are those that the index names.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import type { FileRow } from "@kedge/schema/db";
import { readFullSync } from "./disk.ts";

/** The facts of a row that its content must match. */
export type Expected = Pick<FileRow, "sizeBytes" | "crc32">;

const READ_BYTES = 1 << 20;

/**
 * Read a file and compare its first `sizeBytes` with the checksum. A longer
 * tail is not looked at: an append that was never stored.
 *
 * @returns False when the file is missing, short, wrong or cannot be read.
 */
export function isGood(path: string, expected: Expected): boolean {
  try {
    const file = Deno.openSync(path);
    try {
      return hasContent(file, expected);
    } finally {
      file.close();
    }
  } catch {
    return false;
  }
}

function hasContent(file: Deno.FsFile, expected: Expected): boolean {
  const buffer = new Uint8Array(Math.min(READ_BYTES, expected.sizeBytes));
  let crc = 0;
  for (let rest = expected.sizeBytes; rest > 0;) {
    const wanted = buffer.subarray(0, Math.min(rest, buffer.length));
    if (readFullSync(file, wanted) < wanted.length) return false;
    crc = crc32(wanted, crc);
    rest -= wanted.length;
  }
  return crc === expected.crc32;
}
