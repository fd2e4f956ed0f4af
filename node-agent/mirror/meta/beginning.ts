/**
 * The first bytes of a device, as if there were no more: so internal metadata
 * is found where the device ended before it grew.
 *
 * @module
 */

import type { RawDevice } from "../raw_device.ts";

/** See the module comment. */
export class Beginning implements RawDevice {
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
