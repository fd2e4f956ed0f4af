/**
 * Into which of its directories a store path takes a new file.
 *
 * Source: fastdfs-protocol.md §6 (`file_distribute_path_mode`).
 *
 * @module
 */

import { BASE_LENGTH, type FileId } from "./file_id.ts";

/**
 * Directory of the n-th file when files are spread in turn
 * (`file_distribute_path_mode = 0`).
 *
 * @param count Files placed before.
 * @param rotateCount Files per directory before the next one is used.
 * @param subdirCount Directories per level, 1 to 256.
 */
export function rotatedDirectory(
  count: number,
  rotateCount: number,
  subdirCount: number,
): Pick<FileId, "high" | "low"> {
  const leaf = Math.floor(count / rotateCount) % (subdirCount * subdirCount);
  return { high: Math.floor(leaf / subdirCount), low: leaf % subdirCount };
}

/**
 * Directory of a file when files are spread by the hash of their name
 * (`file_distribute_path_mode = 1`).
 *
 * @param name From {@linkcode encodeFileName}; its first 27 characters count.
 * @param subdirCount Directories per level, 1 to 256.
 */
export function hashedDirectory(
  name: string,
  subdirCount: number,
): Pick<FileId, "high" | "low"> {
  const hash = pjwHash(name.slice(0, BASE_LENGTH)) % 65536;
  return { high: (hash >> 8) % subdirCount, low: (hash & 255) % subdirCount };
}

/** The hash of Peter J. Weinberger, 28 bits, as FastDFS uses it. */
function pjwHash(text: string): number {
  let hash = 0;
  for (let at = 0; at < text.length; at++) {
    hash = ((hash << 4) + text.charCodeAt(at)) >>> 0;
    const top = hash & 0xf000_0000;
    if (top !== 0) hash = (hash ^ (top >>> 24)) & 0x0fff_ffff;
  }
  return hash;
}
