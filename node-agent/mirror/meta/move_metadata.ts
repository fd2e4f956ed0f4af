/**
 * Metadata follows its device when that has grown.
 *
 * ```text
 * before  data … │ bitmap │ log │ superblock │ (new room)
 * after   data …                      … │ bitmap │ log │ superblock │
 * ```
 *
 * Everything moves as it is, the activity log with it, so that a volume may use
 * it all the while. Where both places lie apart, the new superblock is the last
 * that is written: a crash anywhere leaves the old metadata or the new, whole.
 * Where they overlap (a disk that grew by less than its metadata), the new
 * superblock is the first and asks for a full resync until the rest is written.
 * The old superblock counts as long as it is there, so it goes next; then all
 * that was metadata and becomes data is zeroed, on both nodes alike.
 *
 * @module
 */

import { layOut, type MetaGeometry } from "@kedge/schema/disk/geometry";
import { META_BLOCK_BYTES } from "@kedge/schema/disk/units";
import type { RawDevice } from "../raw_device.ts";
import { Beginning } from "./beginning.ts";
import { BitmapFile } from "./bitmap_file.ts";
import {
  geometryInput,
  MetaDevice,
  type MetaRefusal,
  type MetaSource,
  openMeta,
} from "./meta_device.ts";
import { geometryProblem, metaProblem } from "./problems.ts";

/** Most bytes of one write of zeroes. */
const ZEROES = new Uint8Array(1024 * 1024);

/** Metadata, and whether it is still where the device ended before. */
export interface FoundMeta {
  readonly meta: MetaDevice;
  /** {@link moveMetadata} has to be called before the volume is used. */
  readonly isBehind: boolean;
}

/**
 * Find metadata, also at the place where internal metadata was before the
 * device grew. Writes nothing.
 *
 * @param lastSizeBytes Size of the device when its metadata was last seen at
 * its end; undefined: nobody knows. What is valid there counts: at the end of
 * today may be what an earlier life of the device has left. Unless that follows
 * from it: then somebody else, such as DRBD, has moved it there.
 */
export function findMeta(
  source: MetaSource,
  lastSizeBytes?: number,
): FoundMeta | MetaRefusal {
  const { device, placement } = source;
  const mayBeBehind = placement.kind === "internal" &&
    lastSizeBytes !== undefined && lastSizeBytes < device.sizeBytes;
  if (mayBeBehind) {
    const old = openMeta({
      device: new Beginning(device, lastSizeBytes),
      dataDeviceBytes: lastSizeBytes,
      placement,
    });
    if (!("problem" in old) && !isFollowedBy(old, openMeta(source))) {
      return { meta: old, isBehind: true };
    }
  }
  const meta = openMeta(source);
  return "problem" in meta ? meta : { meta, isBehind: false };
}

/** Whether `next` goes on from where `old` has ended. */
function isFollowedBy(old: MetaDevice, next: MetaDevice | MetaRefusal) {
  if ("problem" in next) return false;
  const nameOf = (uuid: bigint) => uuid & ~1n; // without the role
  const { uuids: before, laSizeSectors } = old.superblock;
  const { uuids: after } = next.superblock;
  const current = nameOf(before.current);
  if (nameOf(after.current) === current) {
    return next.superblock.laSizeSectors > laSizeSectors;
  }
  return [after.bitmap, ...after.history].some((uuid) =>
    nameOf(uuid) === current
  );
}

/** Where the metadata of a device of this size belongs. */
export function placeOf(
  old: MetaDevice,
  source: MetaSource,
): MetaGeometry | MetaRefusal {
  const { striping } = old.geometry;
  const input = { ...geometryInput(source), striping, exists: true };
  const geometry = layOut(input);
  if (!("problem" in geometry)) return geometry;
  return { problem: geometryProblem(geometry.problem, source.device.path) };
}

/** Whether metadata is where it belongs, and says so. */
export function isInPlace(
  old: MetaDevice,
  { usableSectors, bmOffset, mdSizeSectors }: MetaGeometry,
): boolean {
  return old.geometry.usableSectors === usableSectors &&
    old.geometry.bmOffset === bmOffset &&
    old.superblock.mdSizeSectors === mdSizeSectors;
}

/**
 * Move metadata to where it belongs now. Bits of the new room are clear; the
 * volume does not use it yet.
 *
 * @param old Metadata that nobody writes meanwhile.
 * @param source The device with its size of now.
 * @returns The metadata in its new place; `old` when it was there.
 * @throws {DeviceError} Old or new metadata is valid, see above.
 */
export function moveMetadata(
  old: MetaDevice,
  source: MetaSource,
): MetaDevice | MetaRefusal {
  const geometry = placeOf(old, source);
  if ("problem" in geometry) return geometry;
  if (isInPlace(old, geometry)) return old;
  if (geometry.usableSectors < old.geometry.usableSectors) {
    // Where the metadata would go may be somebody's data.
    const detail = `"${source.device.path}" has shrunk: give it back its size`;
    return { problem: metaProblem(111, detail) };
  }
  const { mdSizeSectors, alOffsetSectors, bmOffsetSectors } = geometry;
  const moved = new MetaDevice(source, {
    ...old.superblock,
    mdSizeSectors,
    alOffsetSectors,
    bmOffsetSectors,
  }, geometry);
  const isSamePlace = geometry.bmOffset === old.geometry.bmOffset;
  const isApart = geometry.bmOffset >= endOf(old.geometry);
  const write = partsOf(old, moved);
  const { flags } = write;
  if (!isSamePlace && !isApart) {
    moved.writeSuperblock({ flags: new Set(flags).add("FullSync") });
    zeroSuperblock(old.geometry, moved);
  }
  write.logAndBitmap();
  moved.writeSuperblock({ flags });
  if (!isSamePlace) zeroOldPlace(old.geometry, moved);
  return moved;
}

/** Reads everything before anything is written: the places may overlap. */
function partsOf(old: MetaDevice, moved: MetaDevice) {
  const { file, fullBecause } = old.loadBitmap();
  const to = new BitmapFile(moved.device, moved.geometry);
  const common = Math.min(file.bitmap.bytes.length, to.bitmap.bytes.length);
  to.bitmap.bytes.set(file.bitmap.bytes.subarray(0, common));
  const ring = new Uint8Array(old.geometry.alBytes);
  old.device.readAt(ring, old.geometry.alOffset);
  const flags = new Set(old.superblock.flags);
  if (fullBecause !== undefined) flags.add("FullSync");
  const pages = Array.from({ length: to.bitmap.pages }, (_, page) => page);
  return {
    flags,
    logAndBitmap() {
      moved.device.writeAt(ring, moved.geometry.alOffset);
      to.savePages(to.bitmap.bytes, pages);
    },
  };
}

/** Durable on return: the old place is none any more. */
function zeroSuperblock(old: MetaGeometry, { device }: MetaDevice): void {
  zero(device, old.superblockOffset, META_BLOCK_BYTES);
  device.flush();
}

function zeroOldPlace(old: MetaGeometry, moved: MetaDevice): void {
  const end = Math.min(endOf(old), moved.geometry.bmOffset);
  const { device } = moved;
  if (old.superblockOffset < end) zeroSuperblock(old, moved);
  for (let at = old.bmOffset; at < end; at += ZEROES.length) {
    zero(device, at, Math.min(ZEROES.length, end - at));
  }
  device.flush();
}

function zero(device: RawDevice, offset: number, lengthBytes: number): void {
  device.writeAt(ZEROES.subarray(0, lengthBytes), offset);
}

function endOf(
  { placement, superblockOffset, bmOffset, bmRoomBytes }: MetaGeometry,
) {
  return placement.kind === "internal"
    ? superblockOffset + META_BLOCK_BYTES
    : bmOffset + bmRoomBytes;
}
