/**
 * What happens to metadata while no volume uses it: the activity log is applied
 * after a crash, and the data is declared outdated or invalid.
 *
 * The rule above all (promises B11): what cannot be read counts as "everything
 * differs", never as "nothing".
 *
 * @module
 */

import {
  type AlReplay,
  replayRing,
} from "@kedge/schema/disk/activity-log-replay";
import type { MetaFlag } from "@kedge/schema/disk/superblock";
import { BIT_BYTES } from "@kedge/schema/disk/units";
import { initialiseRing } from "./activity_log_file.ts";
import { BitmapFile, bitsOfExtent } from "./bitmap_file.ts";
import type { MetaDevice } from "./meta_device.ts";

/** What {@link applyActivityLog} did. */
export type ApplyResult =
  /** The metadata was clean, and its bitmap can be read. */
  | { readonly kind: "not-needed" }
  /** Bits that were clear before are set: `markedBits` of them. */
  | {
    readonly kind: "applied";
    readonly extents: number;
    readonly markedBits: number;
  }
  /** Every bit is set, because `reason`. */
  | { readonly kind: "full-sync"; readonly reason: string };

/**
 * Bring the bitmap on disk up to all that may differ: before a disk is
 * attached, and for `apply-al`. Harmless when done twice, and when interrupted
 * anywhere.
 *
 * - After a crash: the extents of the activity log.
 * - All bits, when the superblock asks for it, or when the log or the bitmap
 *   cannot be read. `FullSync` then stays in the superblock until somebody who
 *   keeps the bitmap takes it away.
 *
 * @throws {DeviceError} When the metadata cannot be written; it still asks for
 * all that it asked for before.
 */
export function applyActivityLog(meta: MetaDevice): ApplyResult {
  const why = whyAllDiffers(meta);
  if (why !== undefined) return markAll(meta, why);
  const replay = meta.needsActivityLog ? readRing(meta) : undefined;
  if (replay?.kind === "unusable") return markAll(meta, replay.reason);
  const file = new BitmapFile(meta.device, meta.geometry);
  try {
    file.load();
  } catch (error) {
    return markAll(meta, `the bitmap cannot be read: ${messageOf(error)}`);
  }
  if (replay === undefined) return { kind: "not-needed" };
  let markedBits = 0;
  for (const extent of replay.extents) {
    markedBits += file.bitmap.set(bitsOfExtent(extent));
  }
  file.writeDirty();
  file.flush();
  markClean(meta, meta.superblock.flags);
  return { kind: "applied", extents: replay.extents.length, markedBits };
}

function whyAllDiffers(meta: MetaDevice): string | undefined {
  const { flags } = meta.superblock;
  if (flags.has("FullSync")) return "the metadata asks for a full resync";
  const wasPrimary = flags.has("PrimaryInd") || flags.has("CrashedPrimary");
  return meta.needsActivityLog && wasPrimary && flags.has("AlDisabled")
    ? "the activity log was switched off (al-updates no)"
    : undefined;
}

/** `apply-al`'s line for standard output, or nothing. */
export function applyText(result: ApplyResult): string {
  if (result.kind !== "applied" || result.markedBits === 0) return "";
  const size = shortSize(result.markedBits * BIT_BYTES);
  return `Marked additional ${size} as out-of-sync based on AL.\n`;
}

/** DRBD's short form of a size: less than 10000 of KB, MB, …, rounded. */
function shortSize(bytes: number): string {
  let size = bytes / 1024;
  let unit = 0;
  while (size >= 10_000) {
    size = Math.floor(size / 1024 + 0.5);
    unit++;
  }
  return `${size} ${"KMGTPE"[unit]}B`;
}

/**
 * `invalidate`: the data is worth nothing until a full resync.
 *
 * @throws {DeviceError}
 */
export function invalidate(meta: MetaDevice): void {
  const flags = without(meta.superblock.flags, "Consistent", "WasUpToDate");
  meta.writeSuperblock({ flags: flags.add("FullSync") });
}

/**
 * `outdate`: the peer goes on without us.
 *
 * @returns `false` when the data is lower than outdated; nothing is written.
 * @throws {DeviceError}
 */
export function outdate(meta: MetaDevice): boolean {
  const { flags } = meta.superblock;
  if (!flags.has("Consistent")) return false;
  meta.writeSuperblock({ flags: without(flags, "WasUpToDate") });
  return true;
}

/** First that it must be done, durably; then do it. */
function markAll(meta: MetaDevice, reason: string): ApplyResult {
  const flags = new Set(meta.superblock.flags).add("FullSync");
  meta.writeSuperblock({ flags });
  const file = new BitmapFile(meta.device, meta.geometry);
  file.setAll();
  file.writeDirty();
  file.flush();
  markClean(meta, flags);
  return { kind: "full-sync", reason };
}

/** The superblock first: a ring cut short here is not looked at again. */
function markClean(meta: MetaDevice, flags: ReadonlySet<MetaFlag>): void {
  meta.writeSuperblock({
    isClean: true,
    flags: without(flags, "AlDisabled").add("AlClean"),
  });
  initialiseRing(meta.device, meta.geometry);
  meta.device.flush();
}

function readRing(meta: MetaDevice): AlReplay {
  const { alBytes, alOffset, striping } = meta.geometry;
  const ring = new Uint8Array(alBytes);
  try {
    meta.device.readAt(ring, alOffset);
  } catch (error) {
    const reason = `the activity log cannot be read: ${messageOf(error)}`;
    return { kind: "unusable", reason };
  }
  return replayRing(ring, striping);
}

function without(
  flags: ReadonlySet<MetaFlag>,
  ...names: readonly MetaFlag[]
): Set<MetaFlag> {
  return new Set([...flags].filter((flag) => !names.includes(flag)));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
