/**
 * The activity log on disk.
 *
 * Keeps which extent is in which slot, as the disk has it. Which slot to take,
 * and when a slot may be given away, is decided elsewhere; bitmap pages of an
 * extent that leaves must be durable before {@link ActivityLogFile.commit}.
 *
 * @module
 */

import {
  AL_FREE,
  AL_UPDATES_MAX,
  AlBlockEncoder,
  alBlockOf,
  encodeInitialised,
} from "@kedge/schema/disk/activity-log";
import { alNumbersEnd } from "@kedge/schema/disk/activity-log-replay";
import type { MetaGeometry } from "@kedge/schema/disk/geometry";
import { META_BLOCK_BYTES } from "@kedge/schema/disk/units";
import type { RawDevice } from "../raw_device.ts";

/**
 * Writes transactions, each durable before {@link commit} returns. Allocates
 * nothing per transaction.
 *
 * ```ts ignore
 * log.stage(slot, extent); // up to 64 times
 * log.commit(); // now writes to `extent` may start
 * ```
 */
export class ActivityLogFile {
  /** Extent by slot as the disk has it; `AL_FREE` where there is none. */
  readonly map: Uint32Array;
  #device: RawDevice;
  #geometry: MetaGeometry;
  readonly #numbersEnd: number;
  readonly #encoder = new AlBlockEncoder();
  readonly #slots = new Uint16Array(AL_UPDATES_MAX);
  readonly #extents = new Uint32Array(AL_UPDATES_MAX);
  #staged = 0;
  #number = 0;
  #contextStart = 0;

  /**
   * The ring must be empty: {@link MetaDevice.attach} makes it so.
   *
   * @param device Fenced: nothing is written after a failure.
   * @param alNrExtents How many slots.
   */
  constructor(
    device: RawDevice,
    geometry: MetaGeometry,
    alNrExtents: number,
  ) {
    this.#device = device;
    this.#geometry = geometry;
    this.#numbersEnd = alNumbersEnd(geometry.striping);
    this.map = new Uint32Array(alNrExtents).fill(AL_FREE);
  }

  /** The same ring stands somewhere else now. */
  movedTo(device: RawDevice, geometry: MetaGeometry): void {
    this.#device = device;
    this.#geometry = geometry;
  }

  /** Slots that wait for {@link commit}. */
  get staged(): number {
    return this.#staged;
  }

  /**
   * Let `slot` hold `extent`, or `AL_FREE`, from the next commit on.
   *
   * @returns `false`: 64 slots wait already, commit first.
   */
  stage(slot: number, extent: number): boolean {
    if (this.#staged === AL_UPDATES_MAX) return false;
    if (!(slot >= 0 && slot < this.map.length)) {
      throw new RangeError(`Cannot use slot ${slot} of ${this.map.length}`);
    }
    this.#slots[this.#staged] = slot;
    this.#extents[this.#staged] = extent;
    this.#staged++;
    return true;
  }

  /**
   * Write what is staged as one transaction; durable on return.
   *
   * @throws {DeviceError} No write to a staged extent may start. The log takes
   * no more transactions.
   */
  commit(): void {
    if (this.#staged === 0) return;
    const encoder = this.#encoder;
    const { alOffset, striping } = this.#geometry;
    encoder.begin(this.#number, this.#contextStart);
    for (let at = 0; at < this.#staged; at++) {
      encoder.update(this.#slots[at] ?? 0, this.#extents[at] ?? AL_FREE);
    }
    const nextStart = encoder.finish(this.map);
    const block = alBlockOf(this.#number, striping);
    this.#device.writeAt(encoder.block, alOffset + block * META_BLOCK_BYTES);
    this.#device.flush();
    this.#apply();
    this.#contextStart = nextStart;
    this.#number = (this.#number + 1) % this.#numbersEnd;
  }

  #apply(): void {
    for (let at = 0; at < this.#staged; at++) {
      this.map[this.#slots[at] ?? 0] = this.#extents[at] ?? AL_FREE;
    }
    this.#staged = 0;
  }
}

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
