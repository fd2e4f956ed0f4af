/**
 * What commands show of metadata, and how they wipe it.
 *
 * @module
 */

import { dumpedBitmapBytes, dumpText } from "@kedge/schema/disk/metadata-text";
import { META_BLOCK_BYTES } from "@kedge/schema/disk/units";
import type { CreateQuestion } from "./create_texts.ts";
import type { MetaDevice } from "./meta_device.ts";

/** For standard error, before a dump or a look at the bitmap. */
export const UNCLEAN_WARNING =
  'Found meta data is "unclean", please apply-al first\n';

/** `wipe-md` asks this first. */
export const WIPE_QUESTION: CreateQuestion = {
  stdout: "",
  stderr: "\nDo you really want to wipe out the DRBD meta data?\n",
  cancelled: "Operation cancelled.\n",
};

/** `wipe-md` says this when it was done. */
export const WIPED_TEXT = "Wiping meta data...\n" +
  "DRBD meta data block successfully wiped out.\n";

/** For standard error when there is nothing to wipe; exit code 0. */
export const NOTHING_TO_WIPE =
  "There appears to be no drbd meta data to wipe out?\n";

/**
 * `dump-md`.
 *
 * @param heading When it was made, and by which command on which host.
 * @throws {DeviceError} When the bitmap cannot be read.
 */
export function dumpMetadata(
  meta: MetaDevice,
  heading: { readonly date: string; readonly command: string },
): string {
  const { superblock, geometry, device } = meta;
  // The size is what the superblock says: never more than there is room for.
  const bitmap = new Uint8Array(
    Math.min(dumpedBitmapBytes(superblock), geometry.bmRoomBytes),
  );
  device.readAt(bitmap, geometry.bmOffset);
  return dumpText({ superblock, geometry, bitmap, ...heading });
}

/**
 * `wipe-md`: from now on there is no metadata. Durable on return.
 *
 * @throws {DeviceError}
 */
export function wipeMetadata(meta: MetaDevice): void {
  const { superblockOffset } = meta.geometry;
  meta.device.writeAt(new Uint8Array(META_BLOCK_BYTES), superblockOffset);
  meta.device.flush();
}
