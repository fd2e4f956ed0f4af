/**
 * The activity log on disk.
 *
 * @module
 */

import { encodeInitialised } from "@kedge/schema/disk/activity-log";
import type { MetaGeometry } from "@kedge/schema/disk/geometry";
import { META_BLOCK_BYTES } from "@kedge/schema/disk/units";
import type { RawDevice } from "../raw_device.ts";

/**
 * Write a ring that holds nothing. The caller flushes.
 *
 * @throws {DeviceError} Nothing is known about the ring then.
 */
export function initialiseRing(
  device: RawDevice,
  geometry: MetaGeometry,
): void {
  const ring = new Uint8Array(geometry.alBytes);
  const first = ring.subarray(0, META_BLOCK_BYTES);
  encodeInitialised(first);
  for (let at = META_BLOCK_BYTES; at < ring.length; at += META_BLOCK_BYTES) {
    ring.set(first, at);
  }
  device.writeAt(ring, geometry.alOffset);
}
