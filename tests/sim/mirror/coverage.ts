/**
 * Rare branches that many runs must have taken, each at least once: a simulator
 * that never gets there proves nothing about them.
 *
 * @module
 */

/** Names of {@linkcode World.mark}. */
export const MUST_HAPPEN: readonly string[] = [
  // Connections and resyncs.
  "is Connected",
  "is WFBitMapS",
  "is WFBitMapT",
  "is SyncSource",
  "is SyncTarget",
  "is PausedSyncS",
  "is PausedSyncT",
  "is VerifyS",
  "is VerifyT",
  "is StandAlone",
  "connection dropped",
  "split brain made",
  "split brain found",
  "undo kept",
  // Disks.
  "log transaction",
  "extent evicted",
  "detached",
  "power took writes",
  "error: write",
  "error: read",
  "error: flush",
  "error: meta",
  "flushed",
  "flush failed",
  "write failed",
  "read failed",
  "discarded an answered write",
  // What disks hold wrongly, lose, or never had.
  "fault bit-rot",
  "bad sector found",
  "damaged",
  "damage overwritten",
  "scrubbed",
  "old metadata met the peer",
  "a rotten superblock was refused",
  "a bitmap rotted",
  "a mark was missed",
  "wiped",
  "the bitmap was lost",
  "a prefix cut",
  // Fencing by handlers, and policies.
  "fence-peer 1",
  "fence-peer 4",
  "fence-peer 5",
  "fence-peer 6",
  "fence-peer 7",
  "fence-peer 4 beside Consistent data",
  "split brain resolved",
  // Congestion.
  "is Ahead",
  "is Behind",
  "a promotion lost answered writes",
  // Disks that hang.
  "a flush hangs",
  "a write hangs",
  "a meta hangs",
  "disk-timeout",
  "a flush is stuck",
  "served beside a stuck flush",
  "demoted beside a stuck flush",
  // Sizes.
  "resize",
  "resize refused",
  "grown",
  // Roles and people.
  "became Primary",
  "became Secondary",
  "new branch",
  "primary --force",
  "primary refused",
  "connect --discard-my-data",
  "invalidate",
  "suspend-io",
  "options",
  "is Ahead",
  "is Behind",
  "disconnect",
  // The register.
  "register: promote done",
  "register: promote refused",
  "register: promote unknown",
  "register: shrink done",
  "register: shrink refused",
  "register: shrink unknown",
  "register: grow done",
  "register: grow unknown",
  "register: leave done",
  "register: demote done",
];

/** Branches of {@linkcode MUST_HAPPEN} that were not taken. */
export function missingMirrorMarks(
  marks: ReadonlyMap<string, number>,
): string[] {
  return MUST_HAPPEN.filter((name) => !marks.has(name));
}
