/**
 * How large the volume is, and how large its backing device would let it be.
 *
 * @module
 */

import type { VolumeCore } from "./volume_core.ts";

/** See the module comment. */
export class DiskSize {
  /** Usable size of the backing device; 0 without one. */
  backingBytes = 0;

  constructor(readonly volume: VolumeCore) {}

  /**
   * The volume has this size from now on, on disk too. Metadata goes to where
   * it belongs, so that the size has room.
   *
   * @param isNewDirty Whether what grew is out of sync.
   * @returns False: it could not be saved.
   */
  resizeTo(sizeBytes: number, isNewDirty = false): boolean {
    const { volume, volume: { bitmap } } = this;
    if (volume.persistent !== undefined && !volume.effects.useWholeDisk()) {
      volume.diskFailed("moving the metadata");
      return false;
    }
    if (bitmap !== undefined && bitmap.sizeBytes !== sizeBytes) {
      volume.bitmap = bitmap.resized(sizeBytes, isNewDirty);
      if (!volume.saveBitmap()) return false;
    }
    if (volume.persistent?.agreedBytes !== sizeBytes) {
      const isSaved = volume.generations.save({ agreedBytes: sizeBytes });
      if (!isSaved) return false;
    }
    this.adopt(sizeBytes);
    return true;
  }

  /** Every block below this size may be used from now on. */
  adopt(sizeBytes: number): void {
    const { volume } = this;
    const before = volume.sizeBytes;
    if (before === sizeBytes) return;
    volume.sizeBytes = sizeBytes;
    if (before !== 0) volume.effects.sizeChanged(sizeBytes);
  }

  /** Look how much the backing device has room for now. */
  look(): number {
    if (this.volume.persistent === undefined) return 0;
    this.backingBytes = this.volume.effects.usableBytes() ?? this.backingBytes;
    return this.backingBytes;
  }
}
