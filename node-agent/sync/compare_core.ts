/**
 * Comparing two stores without sending them: first one digest per bucket, then
 * the entries of the buckets that differ, then what is newer on either side.
 *
 * A comparison goes both ways and only ever merges (the newer state wins), so
 * it may be repeated, interrupted or overtaken by live changes at any point. It
 * proves that *what the other side held when the comparison began* is here when
 * it ends; for joining, both sides must be at the epoch of the comparison when
 * it begins, and what was taken must be durable when it ends.
 *
 * @module
 */

import { compareEntries, type FileEntry } from "@kedge/schema/change";

/** What to do about one bucket. */
export interface BucketPlan {
  /** States that the other side has and that are newer: fetch and adopt. */
  readonly take: readonly FileEntry[];
  /** States that we have and that are newer: the other side takes them. */
  readonly give: readonly FileEntry[];
  /**
   * Same place in the order, other content. That cannot happen; when it does,
   * an operator must know, and nothing is overwritten.
   */
  readonly conflicts: readonly string[];
}

/**
 * Buckets that need a closer look.
 *
 * @param ours One digest per bucket.
 * @param theirs The same of the other side.
 * @throws {RangeError} When the two differ in length: the peer must speak the
 * same version, so its answer is refused as a whole.
 */
export function differingBuckets(
  ours: Uint32Array,
  theirs: Uint32Array,
): number[] {
  if (ours.length !== theirs.length) {
    throw new RangeError(
      `Cannot compare ${ours.length} buckets with ${theirs.length}`,
    );
  }
  const buckets: number[] = [];
  ours.forEach((digest, bucket) => {
    if (digest !== theirs[bucket]) buckets.push(bucket);
  });
  return buckets;
}

/**
 * Merge two listings of one bucket.
 *
 * @param ours Our entries, tombstones too, in any order.
 * @param theirs The other side's.
 */
export function planBucket(
  ours: readonly FileEntry[],
  theirs: readonly FileEntry[],
): BucketPlan {
  const take: FileEntry[] = [];
  const give: FileEntry[] = [];
  const conflicts: string[] = [];
  const left = new Map(ours.map((entry) => [entry.id, entry]));
  for (const their of theirs) {
    const our = left.get(their.id);
    left.delete(their.id);
    const order = our === undefined ? -1 : compareEntries(our, their);
    if (order < 0) take.push(their);
    else if (our !== undefined && order > 0) give.push(our);
    else if (our !== undefined && !sameContent(our, their)) {
      conflicts.push(their.id);
    }
  }
  give.push(...left.values());
  return { take, give, conflicts };
}

function sameContent(a: FileEntry, b: FileEntry): boolean {
  if (a.state === "tombstone") return true;
  return a.sizeBytes === b.sizeBytes && a.crc32 === b.crc32 &&
    a.sha256 === b.sha256;
}
