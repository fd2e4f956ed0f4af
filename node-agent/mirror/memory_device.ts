/**
 * A disk for tests: it forgets what was not flushed, tears writes at sectors,
 * and fails when told to.
 *
 * @module
 */

import {
  DeviceError,
  type DeviceOperation,
  type RawDevice,
} from "./raw_device.ts";

/** A disk writes a sector whole or not at all, in bytes. */
export const TORN_BYTES = 512;

/** Decides about each operation: `true` lets it fail. */
export type FaultPlan = (
  operation: DeviceOperation,
  offset: number,
  lengthBytes: number,
) => boolean;

/** A {@link RawDevice} in memory. */
export class MemoryDevice implements RawDevice {
  readonly path = "memory";
  readonly sizeBytes: number;
  /** Operations so far, failed ones too. */
  readonly done: { operation: DeviceOperation; offset: number }[] = [];
  /** Which operations fail from now on. */
  faults: FaultPlan = () => false;
  /** Whether {@link close} was called. */
  isClosed = false;
  #bytes: Uint8Array;
  readonly #unflushed: { offset: number; before: Uint8Array }[] = [];

  /** All zero, or over `bytes`. */
  constructor(content: number | Uint8Array) {
    this.#bytes = typeof content === "number"
      ? new Uint8Array(content)
      : content;
    this.sizeBytes = this.#bytes.length;
  }

  /** What a reader sees now. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  readAt(buffer: Uint8Array, offset: number): void {
    this.#begin("read", offset, buffer.length);
    buffer.set(this.#bytes.subarray(offset, offset + buffer.length));
  }

  writeAt(buffer: Uint8Array, offset: number): void {
    const before = this.#bytes.slice(offset, offset + buffer.length);
    this.#unflushed.push({ offset, before });
    // A write that fails may have been done, or any part of it.
    this.#bytes.set(buffer, offset);
    this.#begin("write", offset, buffer.length);
  }

  flush(): void {
    this.#begin("flush", 0, 0);
    this.#unflushed.length = 0;
  }

  close(): void {
    this.isClosed = true;
  }

  /**
   * The power goes: of what was not flushed, each sector is old or new.
   *
   * @param keepsNew Whether a sector of a write is new.
   * @returns The disk as it comes back.
   */
  crash(keepsNew: () => boolean): MemoryDevice {
    const bytes = this.#bytes.slice();
    for (const { offset, before } of [...this.#unflushed].reverse()) {
      for (let at = 0; at < before.length; at += TORN_BYTES) {
        if (keepsNew()) continue;
        bytes.set(before.subarray(at, at + TORN_BYTES), offset + at);
      }
    }
    return new MemoryDevice(bytes);
  }

  #begin(operation: DeviceOperation, offset: number, lengthBytes: number) {
    this.done.push({ operation, offset });
    if (offset < 0 || offset + lengthBytes > this.sizeBytes) {
      throw new DeviceError(operation, this.path, { code: "EINVAL" });
    }
    if (!this.faults(operation, offset, lengthBytes)) return;
    throw new DeviceError(operation, this.path, { code: "EIO" });
  }
}
