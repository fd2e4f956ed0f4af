/**
 * A device that is given up after the first write or flush that failed.
 *
 * What a failed metadata write left behind is unknown, and a retry may report
 * success for data that the system has thrown away (measured on ext4). So all
 * later writes fail with the first error, and the mirror detaches the disk.
 *
 * @module
 */

import { DeviceError, type RawDevice } from "../raw_device.ts";

/** {@link RawDevice} that fences itself. Reads go on. */
export class FencedDevice implements RawDevice {
  readonly path: string;
  readonly #device: RawDevice;
  #failure: unknown;
  #hasFailed = false;

  /** Fence `device`, which others may share. */
  constructor(device: RawDevice) {
    this.#device = device;
    this.path = device.path;
  }

  get sizeBytes(): number {
    return this.#device.sizeBytes;
  }

  /** Whether a write or flush has failed. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  readAt(buffer: Uint8Array, offset: number): void {
    this.#device.readAt(buffer, offset);
  }

  writeAt(buffer: Uint8Array, offset: number): void {
    this.#refuseAfterFailure("write");
    try {
      this.#device.writeAt(buffer, offset);
    } catch (error) {
      throw this.#fail(error);
    }
  }

  flush(): void {
    this.#refuseAfterFailure("flush");
    try {
      this.#device.flush();
    } catch (error) {
      throw this.#fail(error);
    }
  }

  close(): void {
    this.#device.close();
  }

  #refuseAfterFailure(operation: "write" | "flush"): void {
    if (!this.#hasFailed) return;
    throw new DeviceError(operation, this.path, {
      code: "EIO",
      detail: "an earlier write of metadata has failed",
      cause: this.#failure,
    });
  }

  #fail(error: unknown): unknown {
    this.#hasFailed = true;
    this.#failure = error;
    return error;
  }
}
