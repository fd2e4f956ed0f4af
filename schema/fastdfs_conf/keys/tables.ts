/**
 * Every key that FastDFS knows, and how to find one.
 *
 * @module
 */

import { CLIENT_KEYS } from "./client.ts";
import { COMMON_KEYS } from "./common.ts";
import { HTTP_KEYS } from "./http.ts";
import type { ConfKind, KeyRow } from "./row.ts";
import { STORAGE_KEYS } from "./storage.ts";
import { TRACKER_KEYS } from "./tracker.ts";

/** All rows, in the order of the generated page. */
export const FASTDFS_KEYS: readonly KeyRow[] = [
  ...COMMON_KEYS,
  ...TRACKER_KEYS,
  ...STORAGE_KEYS,
  ...CLIENT_KEYS,
  ...HTTP_KEYS,
];

/** Sections that override a key for one log file: the keys are the same. */
const LOG_SECTIONS: ReadonlySet<string> = new Set(["error-log", "access-log"]);

/**
 * The row of a key.
 *
 * @param kind The file it stands in.
 * @param key Its name as written, such as `store_path0`.
 * @param section Its section, or "".
 * @returns `undefined` for a key that FastDFS does not know there.
 */
export function keyRow(
  kind: ConfKind,
  key: string,
  section: string,
): KeyRow | undefined {
  const name = key.replace(/^(store_path|group)\d+(_readonly)?$/, "$1#$2");
  return FASTDFS_KEYS.find((row) =>
    row.key === name && row.in.includes(kind) && fits(row, kind, section)
  );
}

function fits(row: KeyRow, kind: ConfKind, section: string): boolean {
  if (row.section !== undefined) return row.section === section;
  if (section === "" || LOG_SECTIONS.has(section)) return true;
  // The module has one section per group.
  return kind === "mod" && /^group\d+$/.test(section);
}

/** Names of the keys of a file, for guesses. */
export function keyNames(kind: ConfKind): string[] {
  return FASTDFS_KEYS.filter((row) => row.in.includes(kind))
    .map(({ key }) => key.replace("#", "0"));
}
