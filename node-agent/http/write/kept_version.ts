/**
 * Versions of files that come with their ID from another store.
 *
 * Two members may take the same file in at the same moment, from replicas that
 * were not equal there. One order must never stand for two contents, so the
 * version of whatever the ID does not settle is drawn from the content: the
 * maximum then decides everywhere. The draw also shows, without a journal,
 * whether a file was changed here since it was taken in.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { KEPT_VERSION_MIN } from "@kedge/schema";
import type { FileEntry, FileMeta } from "@kedge/schema/change";
import { parseFileId } from "@kedge/schema/file-id";

/** Versions of one generation. */
const DRAWN = KEPT_VERSION_MIN;

/** What a version is drawn from. */
export type KeptContent = {
  readonly sha256: string;
  readonly meta: FileMeta;
};

/** Whether the ID says all of the content, for ever. */
export function isSettled(id: string, meta: FileMeta): boolean {
  const kind = parseFileId(id)?.kind;
  const isFixed = kind === "normal" || kind === "trunk";
  return isFixed && Object.keys(meta).length === 0;
}

/**
 * The version of a file that is taken in.
 *
 * @param before What is here, if anything.
 */
export function keptVersion(
  id: string,
  content: KeptContent,
  before: FileEntry | undefined,
): number {
  // A number might be that of a node of ours: the version tells whose it is.
  const isForeign = typeof parseFileId(id)?.origin !== "number";
  if (before === undefined && isForeign && isSettled(id, content.meta)) {
    return 1;
  }
  const generation = Math.floor((before?.version ?? 0) / DRAWN) + 1;
  return generation * DRAWN + draw(content);
}

/** Whether a file was taken in, whatever became of it here. */
export function wasKept({ id, version }: FileEntry): boolean {
  return version >= DRAWN || typeof parseFileId(id)?.origin !== "number";
}

/** Whether a file is as it was taken in: nobody changed it here. */
export function isAsKept(entry: FileEntry): boolean {
  const { id, sha256, meta, version } = entry;
  if (sha256 === null) return false;
  if (version < DRAWN) return version === 1 && isSettled(id, meta);
  return version % DRAWN === draw({ sha256, meta });
}

function draw({ sha256, meta }: KeptContent): number {
  const pairs = Object.entries(meta).sort(([a], [b]) => a < b ? -1 : 1);
  const hash = createHash("sha256").update(sha256).update("\0")
    .update(JSON.stringify(pairs)).digest();
  return hash.readUIntBE(0, 3);
}
