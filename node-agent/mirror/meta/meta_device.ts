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
import type { RawDevice } from "../raw_device.ts";
import { FencedDevice } from "./fenced_device.ts";
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
}
