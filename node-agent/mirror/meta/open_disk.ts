/**
 * Opens what a volume stands on: the disk with the data, and its metadata.
 *
 * @module
 */

import type { MetaPlacement } from "@kedge/schema/disk/geometry";
import { DeviceError } from "../raw_device.ts";
import { type FileDevice, openFileDevice } from "./file_device.ts";
import type { MetaDevice, MetaRefusal, MetaSource } from "./meta_device.ts";
import { findMeta } from "./move_metadata.ts";
import { type AttachCode, metaProblem } from "./problems.ts";

/** Which disk, as configured. */
export interface DiskPaths {
  /** `disk`. */
  readonly dataPath: string;
  /** `meta-disk`; not used for internal. */
  readonly metaPath?: string;
  /** How the metadata is placed. */
  readonly placement: MetaPlacement;
  /** Size of `dataPath` when it was last used; undefined: nobody knows. */
  readonly lastSizeBytes?: number | undefined;
}

/** Devices that were opened, and locked. */
export interface DiskDevices {
  /** The data. Nothing at or after `usableSectors` of the layout is data. */
  readonly data: FileDevice;
  /** The device that holds the metadata: `data`, when it is internal. */
  readonly metaDisk: FileDevice;
  /** Where to look for metadata, or to create it. */
  readonly source: MetaSource;
  /** Close both. More than once is fine. */
  close(): void;
}

/** A disk with sound metadata. */
export interface OpenDisk extends DiskDevices {
  /** The metadata. It may still need its activity log applied. */
  readonly meta: MetaDevice;
  /** It is where the disk ended before it grew: `moveMetadata` before use. */
  readonly isBehind: boolean;
}

/**
 * Open the devices of a volume, whatever is on them. Metadata is written
 * through a handle whose writes are durable at once.
 */
export function openDevices(paths: DiskPaths): DiskDevices | MetaRefusal {
  const { placement } = paths;
  const data = tryOpen(paths.dataPath, { failed: 104, claimed: 114 });
  if ("problem" in data) return data;
  const metaDisk = placement.kind === "internal"
    ? data
    : tryOpen(paths.metaPath ?? "", {
      failed: 105,
      claimed: 115,
      isShared: placement.kind === "indexed",
    });
  if ("problem" in metaDisk) {
    data.close();
    return metaDisk;
  }
  const close = () => {
    data.close();
    metaDisk.close();
  };
  try {
    const device = metaDisk.openDurable();
    const source = { device, dataDeviceBytes: data.sizeBytes, placement };
    return { data, metaDisk, source, close };
  } catch (error) {
    close();
    if (!(error instanceof DeviceError)) throw error;
    return { problem: metaProblem(105, error.message) };
  }
}

/** Open the devices of a volume and read its metadata. Writes nothing. */
export function openDisk(paths: DiskPaths): OpenDisk | MetaRefusal {
  const devices = openDevices(paths);
  if ("problem" in devices) return devices;
  const found = findMeta(devices.source, paths.lastSizeBytes);
  if (!("problem" in found)) return { ...devices, ...found };
  devices.close();
  return found;
}

function tryOpen(
  path: string,
  options: {
    readonly failed: AttachCode;
    readonly claimed: AttachCode;
    readonly isShared?: boolean;
  },
): FileDevice | MetaRefusal {
  try {
    return openFileDevice(path, { isShared: options.isShared ?? false });
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    const isClaimed = error.code === "EBUSY";
    const code = isClaimed ? options.claimed : options.failed;
    return { problem: metaProblem(code, error.message) };
  }
}
