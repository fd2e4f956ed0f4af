/**
 * How much room there is: per store path above the reserve, per node, and per
 * group, whose capacity is that of its smallest member. Pure.
 *
 * @module
 */

import type { StorePathReport } from "@kedge/schema";
import { type Reserve, reserveBytes } from "@kedge/schema/config/units";
import type { GroupState, MemberState } from "./cluster.ts";

/**
 * What may still be written to a store path.
 *
 * @param path As reported.
 * @param reserve `reserved_storage_space`.
 * @returns Bytes above the reserve; 0 when the path is not writable.
 */
export function roomOf(path: StorePathReport, reserve: Reserve): number {
  if (path.state !== "writable") return 0;
  const keptBytes = reserveBytes(reserve, path.totalBytes);
  return Math.max(0, path.freeBytes - keptBytes);
}

/** Size and free space, in bytes. */
export interface Space {
  /** Of all store paths together. */
  readonly totalBytes: number;
  /** Above the reserve, of writable store paths. */
  readonly freeBytes: number;
}

/** Size and room of one node. */
export function spaceOf(
  paths: readonly StorePathReport[],
  reserve: Reserve,
): Space {
  let totalBytes = 0;
  let freeBytes = 0;
  for (const path of paths) {
    totalBytes += path.totalBytes;
    freeBytes += roomOf(path, reserve);
  }
  return { totalBytes, freeBytes };
}

/**
 * Size and room of a group: those of its smallest and of its fullest member,
 * because every member holds every file. Only members in sync count, so that a
 * new one that is still being filled does not close the group.
 *
 * @returns Zeros when no member in sync has reported.
 */
export function groupSpace(group: GroupState, reserve: Reserve): Space {
  const spaces = group.members
    .filter(hasReported)
    .map(({ report }) => spaceOf(report.storePaths, reserve));
  if (spaces.length === 0) return { totalBytes: 0, freeBytes: 0 };
  return {
    totalBytes: Math.min(...spaces.map(({ totalBytes }) => totalBytes)),
    freeBytes: Math.min(...spaces.map(({ freeBytes }) => freeBytes)),
  };
}

type Reported = MemberState & { report: NonNullable<MemberState["report"]> };

function hasReported(member: MemberState): member is Reported {
  return member.insync && member.report !== undefined;
}
