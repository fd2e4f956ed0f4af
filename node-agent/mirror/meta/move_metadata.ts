/**
 * Internal metadata follows the end of its disk when that has grown.
 *
 * ```text
 * before  data … │ bitmap │ log │ superblock │ (new room)
 * after   data …                      … │ bitmap │ log │ superblock │
 * ```
 *
 * The new superblock is written first and asks for a full resync; the old one
 * is never needed from then on, so that the parts may overlap and a crash
 * anywhere costs a resync at most.
 *
 * @module
 */

import { layOut } from "@kedge/schema/disk/geometry";
import { META_BLOCK_BYTES } from "@kedge/schema/disk/units";
import type { RawDevice } from "../raw_device.ts";
import { initialiseRing } from "./activity_log_file.ts";
import { BitmapFile } from "./bitmap_file.ts";
import {
  geometryInput,
  MetaDevice,
  type MetaRefusal,
  type MetaSource,
  openMeta,
} from "./meta_device.ts";
import { geometryProblem, metaProblem } from "./problems.ts";

/**
 * Move internal metadata to the end of a disk that has grown. Bits of the new
 * room are clear; the volume does not use it yet.
 *
 * @param device The disk with its size of now.
 * @param oldSizeBytes Its size when the metadata was last at its end.
 * @returns The metadata at the end of the disk, which may have been there
 * already.
 * @throws {DeviceError} What is at the end of the disk is valid or nothing.
 */
export function moveMetadata(
  device: RawDevice,
  oldSizeBytes: number,
): MetaDevice | MetaRefusal {
  const source = sourceOf(device);
  const present = openMeta(source);
  const isThere = !("problem" in present) || present.problem.code !== 119;
  if (isThere) return present;
  if (oldSizeBytes > device.sizeBytes) {
    const detail = `"${device.path}" has shrunk; its metadata is gone`;
    return { problem: metaProblem(111, detail) };
  }
  const old = openMeta(sourceOf(new Beginning(device, oldSizeBytes)));
  if ("problem" in old) return old;
  if (old.needsActivityLog) {
    const detail = `apply the activity log of "${device.path}" before it grows`;
    return { problem: metaProblem(165, detail) };
  }
  return copyToEnd(old, source);
}

function copyToEnd(old: MetaDevice, source: MetaSource) {
  const { striping } = old.geometry;
  const geometry = layOut({ ...geometryInput(source), striping });
  if ("problem" in geometry) {
    return { problem: geometryProblem(geometry.problem, source.device.path) };
  }
  const { file: from, fullBecause } = old.loadBitmap();
  const { mdSizeSectors, alOffsetSectors, bmOffsetSectors } = geometry;
  const superblock = {
    ...old.superblock,
    mdSizeSectors,
    alOffsetSectors,
    bmOffsetSectors,
  };
  const { flags } = superblock;
  const moved = new MetaDevice(source, superblock, geometry);
  moved.writeSuperblock({ flags: new Set(flags).add("FullSync") });

  initialiseRing(moved.device, geometry);
  const to = new BitmapFile(moved.device, geometry);
  to.bitmap.bytes.set(from.bitmap.bytes);
  to.savePages(to.bitmap.bytes, Array.from({ length: to.bitmap.pages }, at));
  if (fullBecause === undefined) moved.writeSuperblock({ flags });

  const { superblockOffset } = old.geometry;
  if (superblockOffset < geometry.bmOffset) {
    moved.device.writeAt(new Uint8Array(META_BLOCK_BYTES), superblockOffset);
    moved.device.flush();
  }
  return moved;
}

function at(_: unknown, index: number): number {
  return index;
}

function sourceOf(device: RawDevice): MetaSource {
  const placement = { kind: "internal" as const };
  return { device, dataDeviceBytes: device.sizeBytes, placement };
}

/** The first bytes of a device, as if there were no more. */
class Beginning implements RawDevice {
  readonly path: string;

  constructor(readonly device: RawDevice, readonly sizeBytes: number) {
    this.path = device.path;
  }

  readAt(buffer: Uint8Array, offset: number): void {
    this.device.readAt(buffer, offset);
  }

  writeAt(buffer: Uint8Array, offset: number): void {
    this.device.writeAt(buffer, offset);
  }

  flush(): void {
    this.device.flush();
  }

  close(): void {}
}
