/**
 * What the data on a disk are worth by what its metadata say, with nobody to
 * compare them with.
 *
 * Source: DRBD 8.4, reference §2.7.
 *
 * @module
 */

import {
  EMPTY_GENERATION,
  type GenerationSet,
  sameGeneration,
} from "../decisions/generations_core.ts";
import {
  compareConnection,
  compareDisk,
  type ConnectionState,
  type DiskState,
  isConnected,
  type MirrorState,
} from "../decisions/mirror_state.ts";
import type { VolumeCore } from "./volume_core.ts";
import type {
  AttachedDisk,
  CommandResult,
  PersistentFlags,
  VolumeConfig,
} from "./volume_types.ts";

/** Both disks as one node sees them without its peer. */
export interface DisksAlone {
  readonly disk: DiskState;
  readonly peerDisk: DiskState;
}

/**
 * @param trusts A node may rely on its own data without asking the peer.
 * @param isSuspect The disk failed before its writes were stable.
 * @param lacksWrites And the peer went on: a copy of that has more in any case.
 */
export function disksAlone(
  flags: PersistentFlags,
  { trusts, isSuspect, lacksWrites }: {
    readonly trusts: boolean;
    readonly isSuspect: boolean;
    readonly lacksWrites: boolean;
  },
): DisksAlone {
  const peerDisk: DiskState = flags.peerOutdated ? "Outdated" : "DUnknown";
  if (lacksWrites) return { disk: "Inconsistent", peerDisk };
  const disk = diskByFlags(flags);
  if (isSuspect && compareDisk(disk, "Outdated") > 0) {
    return { disk: "Outdated", peerDisk };
  }
  const isGood = disk === "Consistent" && (trusts || flags.peerOutdated);
  return { disk: isGood ? "UpToDate" : disk, peerDisk };
}

/**
 * Whether the peer goes on without a disk that fails, or is let go: nobody is
 * fenced for that. With fencing such a disk must not be used alone later.
 */
export function goesOnWithout(
  { fencing }: Pick<VolumeConfig, "fencing">,
  { connection, peerDisk }: MirrorState,
): boolean {
  return fencing !== "dont-care" && isConnected(connection) &&
    peerDisk === "UpToDate";
}

/** Whether a disk has no room for a volume; undefined: it has. */
export function roomProblem(
  disk: AttachedDisk,
  { sizeBytes, config }: Pick<VolumeCore, "sizeBytes" | "config">,
): CommandResult | undefined {
  const { sizeBytes: wantedBytes = 0 } = config;
  if (disk.persistent.agreedBytes > disk.sizeBytes) return { code: 111 };
  if (sizeBytes > disk.sizeBytes) return { code: 111 };
  if (wantedBytes <= disk.sizeBytes) return undefined;
  const why = `the configured size is ${wantedBytes} bytes, the disk has ` +
    `room for ${disk.sizeBytes}`;
  return { code: 111, why };
}

/**
 * The size of a volume that gets this disk. Without it the peer's size counted,
 * which may be smaller: one that grew alone had, and knows, more. Where that size
 * is shown to an application or agreed with a peer, it stays; the handshake
 * decides next.
 */
export function sizeWith(
  disk: AttachedDisk,
  { sizeBytes, config, state }: Pick<
    VolumeCore,
    "sizeBytes" | "config" | "state"
  >,
): number {
  const { agreedBytes } = disk.persistent;
  if (sizeBytes === 0) {
    return agreedBytes ||
      Math.min(disk.sizeBytes, config.sizeBytes || Infinity);
  }
  const isUsed = state.role === "Primary" ||
    compareConnection(state.connection, "WFReportParams") >= 0;
  return isUsed ? sizeBytes : Math.max(sizeBytes, agreedBytes);
}

/** What decides whether a Primary may have a disk back. */
export interface SeenData {
  readonly state: MirrorState;
  /** The disk holds what the application has last seen. */
  readonly isShown: boolean;
  /** What the peer calls its data. */
  readonly theirs: GenerationSet | undefined;
}

/**
 * Why a disk would put other data under the application; undefined: it would
 * not. A Primary without a good peer may only get back the very data it had. One
 * that the peer serves sees that one's data: a disk of ours whose data went on
 * from there must not take their place.
 */
export function whyOtherData(
  own: GenerationSet,
  { state, isShown, theirs }: SeenData,
): string | undefined {
  if (state.role !== "Primary") return undefined;
  const isServed = isConnected(state.connection) &&
    state.peerDisk === "UpToDate";
  if (isServed && theirs !== undefined) {
    return isAheadOf(own, theirs)
      ? "the disk has newer data than the peer, which serves this Primary: " +
        "make this node Secondary first"
      : undefined;
  }
  return isServed || isShown
    ? undefined
    : "the disk has other data than this Primary has shown";
}

/** Whether data went on from where the other ones stand. */
function isAheadOf(own: GenerationSet, theirs: GenerationSet): boolean {
  if (sameGeneration(own.current, theirs.current)) return false;
  return [own.bitmap, ...own.history].some((each) =>
    each !== EMPTY_GENERATION && sameGeneration(each, theirs.current)
  );
}

/**
 * Whether the source of a resync that would begin so has good data. The state
 * table would call them good: DRBD 8.4 does.
 */
export function hasSource(
  { disk, peerDisk }: MirrorState,
  connection: ConnectionState | undefined,
): boolean {
  if (connection === "StartingSyncS") return disk === "UpToDate";
  return connection !== "StartingSyncT" || peerDisk === "UpToDate";
}

function diskByFlags(flags: PersistentFlags): DiskState {
  if (!flags.consistent) return "Inconsistent";
  return flags.wasUpToDate ? "Consistent" : "Outdated";
}
