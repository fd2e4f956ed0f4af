/**
 * Whether this node has lost bytes: a store path that holds files and cannot be
 * relied on any more. The database may be whole and say nothing of it, so a
 * node without its disk would stay in sync for as long as nobody writes, and
 * the last good member could be retired (promises.md F13, F14).
 *
 * @module
 */

import type { StorePathReport } from "@kedge/schema";
import { hexByte } from "@kedge/schema/file-id";

/** States of a path whose files may be gone. */
const LOST: readonly StorePathReport["state"][] = ["missing", "fenced"];

/**
 * Say what is lost.
 *
 * Files of a peer may lie on any path here, whatever their ID says. So any bad
 * path counts as soon as this node holds a file.
 *
 * @param paths Every store path as it is now.
 * @param fileCount Present files by the index.
 * @returns Why files of this node may be gone; `undefined` when none are.
 */
export function lostFiles(
  paths: readonly StorePathReport[],
  fileCount: number,
): string | undefined {
  if (fileCount === 0) return undefined;
  const bad = paths.find(({ state }) => LOST.includes(state));
  if (bad !== undefined) {
    const reason = bad.reason === undefined ? "" : `: ${bad.reason}`;
    return `store path M${hexByte(bad.index)} is ${bad.state}${reason}`;
  }
  // Without the count: it changes all the time.
  const empty = paths.find(({ refillFiles = 0 }) => refillFiles > 0);
  return empty && `store path M${hexByte(empty.index)} is being filled again`;
}
