/**
 * Rare branches that a run of many seeds must have taken, each at least once.
 * A simulator that never gets there proves nothing about them.
 *
 * @module
 */

/** Names of {@linkcode World.mark}. */
export const MUST_HAPPEN: readonly string[] = [
  // The register.
  "shrink changed",
  "shrink refused",
  "shrink unknown",
  "renew changed",
  "renew unknown",
  "grow changed",
  "grow refused",
  "grow unknown",
  "reset changed",
  "reset refused",
  "reset unknown",
  "promised",
  "generation confirmed",
  // Answers.
  "answered at a lower level",
  "uncertain: this node is out of sync",
  "uncertain: the file's owner changed",
  "uncertain: not every node in sync answered in time",
  "retry found its file",
  "excused loss",
  // Logs.
  "records applied",
  "records refused",
  "record without its base",
  "overtaken before it was stored",
  "gap ignored",
  "incarnation bumped",
  "power cut lost transactions",
  "set back",
  "found to be set back",
  "disk failed",
  "restart after a disk error",
  "log cut",
  "a member holds up the cut",
  "behind a cut log",
  "cut beyond a linked peer",
  "skipped what a peer forgot",
  // Joining and comparing.
  "compared",
  "comparison failed",
  "comparison took",
  "comparison gave",
  // Files.
  "owner moved",
  "fetched and kept",
  "404 proven",
  "503 instead of 404",
  "read refused",
  "read confirmed by a peer",
  "tombstones collected",
  "tombstone round blocked",
];

/** Branches of {@linkcode MUST_HAPPEN} that were not taken. */
export function missingMarks(marks: ReadonlyMap<string, number>): string[] {
  return MUST_HAPPEN.filter((name) => !marks.has(name));
}
