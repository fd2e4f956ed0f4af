/**
 * What a disk that is attached says is out of sync.
 *
 * @module
 */

import { OutOfSyncBitmap } from "./bitmap_core.ts";
import type { AttachedDisk } from "./volume_types.ts";

/**
 * The bitmap of a disk for a volume of `sizeBytes` (0: not known yet). The
 * volume may have grown with the peer while we had no disk, or the other way:
 * what lies behind the size that this disk knows was never compared.
 */
export function bitmapOf(
  disk: AttachedDisk,
  sizeBytes: number,
): OutOfSyncBitmap {
  const { agreedBytes, flags } = disk.persistent;
  const bitmap = new OutOfSyncBitmap(Math.max(sizeBytes, agreedBytes));
  const used = disk.bitmap.subarray(0, bitmap.bytes.length);
  bitmap.merge(0, used);
  bitmap.saved(bitmap.unsavedPages());
  if (agreedBytes > 0 && agreedBytes < bitmap.sizeBytes) {
    bitmap.set(agreedBytes, bitmap.sizeBytes - agreedBytes);
  }
  if (disk.bitmapLost || flags.fullSync) {
    bitmap.setAll();
    bitmap.touchAll(); // they may have been set in memory only
  }
  return bitmap;
}
