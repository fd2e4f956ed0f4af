/**
 * The metadata of one open disk.
 *
 * ```text
 * openMeta ──▶ MetaDevice ─┬─ superblock, writeSuperblock   (durable)
 *                          ├─ geometry
 *                          ├─ activityLog()  ActivityLogFile
 *                          └─ bitmap()       BitmapFile
 * ```
 *
 * All three parts write through one fence: after the first write or flush that
 * failed the metadata is read-only, and the disk has to be detached.
 *
 * @module
 */

import {
  type GeometryInput,
  layoutOf,
  type MetaGeometry,
  type MetaPlacement,
  superblockOffsetOf,
} from "@kedge/schema/disk/geometry";
import {
  decodeSuperblock,
  encodeSuperblock,
  type MetaSuperblock,
  needsActivityLog,
} from "@kedge/schema/disk/superblock";
import { META_BLOCK_BYTES } from "@kedge/schema/disk/units";
import { AL_EXTENTS_MIN } from "@kedge/schema/disk/units";
import { alExtentsCapacity } from "@kedge/schema/disk/activity-log";
import type { RawDevice } from "../raw_device.ts";
import { FencedDevice } from "./fenced_device.ts";
import { ActivityLogFile, initialiseRing } from "./activity_log_file.ts";
import { BitmapFile } from "./bitmap_file.ts";
import {
  geometryProblem,
  type MetaProblem,
  metaProblem,
  superblockProblem,
} from "./problems.ts";

/** Where the metadata of a disk is to be found. */
export interface MetaSource {
  /** The device that holds the metadata; for internal, the data's own. */
  readonly device: RawDevice;
  /** Size of the device that holds the data, in bytes. */
  readonly dataDeviceBytes: number;
  /** Where on `device` the metadata is. */
  readonly placement: MetaPlacement;
}

/** Why there is no {@link MetaDevice}. */
export interface MetaRefusal {
  /** What is wrong. */
  readonly problem: MetaProblem;
}

/** The input of a layout, from where the metadata is. */
export function geometryInput(source: MetaSource): GeometryInput {
  return {
    placement: source.placement,
    dataDeviceBytes: source.dataDeviceBytes,
    metaDeviceBytes: source.device.sizeBytes,
  };
}

/**
 * Read the metadata of a disk. Writes nothing.
 *
 * The result may need {@link MetaDevice.needsActivityLog}: nobody may trust
 * its bitmap before `applyActivityLog`.
 */
export function openMeta(source: MetaSource): MetaDevice | MetaRefusal {
  const { device } = source;
  const offset = superblockOffsetOf(source.placement, device.sizeBytes);
  const block = new Uint8Array(META_BLOCK_BYTES);
  if (offset < 0 || offset + block.length > device.sizeBytes) {
    const detail = `"${device.path}" has ${device.sizeBytes} bytes only`;
    return { problem: metaProblem(112, detail) };
  }
  try {
    device.readAt(block, offset);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { problem: metaProblem(118, why) };
  }
  const superblock = decodeSuperblock(block);
  if ("problem" in superblock) {
    return { problem: superblockProblem(superblock.problem, device.path) };
  }
  const geometry = layoutOf(superblock, geometryInput(source));
  if ("problem" in geometry) {
    return { problem: geometryProblem(geometry.problem, device.path) };
  }
  return new MetaDevice(source, superblock, geometry);
}

/** Metadata that was found to be sound. */
export class MetaDevice {
  /** Where everything is. */
  readonly geometry: MetaGeometry;
  /** The device behind its fence; for the log and the bitmap. */
  readonly device: FencedDevice;
  #superblock: MetaSuperblock;
  readonly #block = new Uint8Array(META_BLOCK_BYTES);

  /** Use {@link openMeta} or `createMetadata`. */
  constructor(
    source: MetaSource,
    superblock: MetaSuperblock,
    geometry: MetaGeometry,
  ) {
    this.device = new FencedDevice(source.device);
    this.#superblock = superblock;
    this.geometry = geometry;
  }

  /** The superblock as it is on disk. */
  get superblock(): MetaSuperblock {
    return this.#superblock;
  }

  /** Whether the activity log must be applied first. */
  get needsActivityLog(): boolean {
    return needsActivityLog(this.#superblock);
  }

  /** Whether a write has failed: detach. */
  get hasFailed(): boolean {
    return this.device.hasFailed;
  }

  /**
   * Write the superblock; durable on return.
   *
   * @param change Fields that change; the others stay.
   * @throws {DeviceError} Nothing is known about the superblock on disk: it is
   * the old or the new one. {@link superblock} is the old one. Never retried.
   */
  writeSuperblock(change: Partial<MetaSuperblock>): void {
    const next = { ...this.#superblock, ...change };
    encodeSuperblock(next, this.#block);
    this.device.writeAt(this.#block, this.geometry.superblockOffset);
    this.device.flush();
    this.#superblock = next;
  }

  /**
   * Why this disk may not be attached now, or `undefined`.
   *
   * @param sizeSectors A configured `size` of the volume, if any.
   */
  attachProblem(sizeSectors = 0): MetaProblem | undefined {
    const { path } = this.device;
    if (this.needsActivityLog) {
      return metaProblem(165, `apply the activity log of "${path}" first`);
    }
    const { usableSectors } = this.geometry;
    const { flags, laSizeSectors } = this.#superblock;
    // A disk that shrank under consistent data has lost a part of it.
    const agreed = flags.has("Consistent") ? laSizeSectors : 0;
    const needed = Math.max(agreed, sizeSectors);
    if (usableSectors >= needed) return undefined;
    return metaProblem(
      111,
      `"${path}" has room for ${usableSectors} sectors of data, ` +
        `${needed} are needed`,
    );
  }

  /**
   * Begin to use the disk: from now on a crash asks for the activity log.
   * Durable on return.
   *
   * @param alNrExtents `al-extents`; cut to what the ring can hold.
   * @returns An empty activity log.
   * @throws {DeviceError}
   */
  attach(alNrExtents = this.#superblock.alNrExtents): ActivityLogFile {
    const { device, geometry } = this;
    if (this.needsActivityLog) {
      throw new Error("Cannot attach before the activity log is applied");
    }
    const { stripes, stripeSize4k } = geometry.striping;
    const slots = Math.max(
      AL_EXTENTS_MIN,
      Math.min(alNrExtents, alExtentsCapacity(stripes * stripeSize4k)),
    );
    initialiseRing(device, geometry);
    device.flush();
    const flags = new Set(this.#superblock.flags);
    flags.delete("AlClean");
    this.writeSuperblock({ flags, isClean: false, alNrExtents: slots });
    return new ActivityLogFile(device, geometry, slots);
  }

  /**
   * End to use the disk in order. Nothing is in flight any more, and the bitmap
   * was written and flushed. Durable on return.
   *
   * @throws {DeviceError}
   */
  detach(): void {
    const flags = new Set(this.#superblock.flags).add("AlClean");
    this.writeSuperblock({ flags, isClean: true });
  }

  /**
   * The bitmap, all ones when the superblock says so or it cannot be read.
   *
   * @returns With `fullBecause` when all bits were set here: they are not
   * written yet, see {@link settleFullSync}.
   */
  loadBitmap(): { readonly file: BitmapFile; readonly fullBecause?: string } {
    const file = new BitmapFile(this.device, this.geometry);
    let fullBecause = "the metadata asks for a full resync";
    if (!this.#superblock.flags.has("FullSync")) {
      try {
        file.load();
        return { file };
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        fullBecause = `the bitmap cannot be read: ${why}`;
      }
    }
    file.setAll();
    return { file, fullBecause };
  }

  /**
   * Write a bitmap of all ones; when it is durable, the flag that stood in for
   * it goes.
   *
   * @throws {DeviceError} The superblock still, or again, asks for it.
   */
  settleFullSync(file: BitmapFile): void {
    const flags = new Set(this.#superblock.flags);
    if (!flags.has("FullSync")) {
      this.writeSuperblock({ flags: new Set(flags).add("FullSync") });
    }
    file.writeDirty();
    file.flush();
    flags.delete("FullSync");
    this.writeSuperblock({ flags });
  }
}
