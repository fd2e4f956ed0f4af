/**
 * Memory for bodies that is used again: new memory for each is mapped, zeroed and
 * unmapped by the kernel, and V8 answers so much of it with collections of the
 * whole heap.
 *
 * @module
 */

/** What is kept. */
export interface BodyRoomsOptions {
  /** Smallest size, a power of two like all of them, in bytes. */
  readonly sizeBytesMin: number;
  /** Memory that is longer is made and freed each time, in bytes. */
  readonly sizeBytesMax: number;
  /** Most memory to hold while nobody uses it, in bytes. */
  readonly freeBytesMax: number;
}

/** See the module comment. */
export class BodyRooms {
  readonly #options: BodyRoomsOptions;
  /** By size. */
  readonly #free = new Map<number, Uint8Array<ArrayBuffer>[]>();
  #freeBytes = 0;
  #wasUsed = false;

  /** Nothing is held yet. */
  constructor(options: BodyRoomsOptions) {
    this.#options = options;
  }

  /** Memory that waits to be used again, in bytes. */
  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** Memory with at least this length; something may lie in it. */
  take(lengthBytes: number): Uint8Array<ArrayBuffer> {
    const { sizeBytesMin, sizeBytesMax } = this.#options;
    this.#wasUsed = true;
    if (lengthBytes > sizeBytesMax) return new Uint8Array(lengthBytes);
    let sizeBytes = sizeBytesMin;
    while (sizeBytes < lengthBytes) sizeBytes *= 2;
    const room = this.#free.get(sizeBytes)?.pop();
    if (room === undefined) return new Uint8Array(sizeBytes);
    this.#freeBytes -= sizeBytes;
    return room;
  }

  /**
   * Nobody uses this memory any more: whoever does will see it change, or gone.
   *
   * @param memory What was taken here, or other memory, which is freed.
   */
  giveBack(memory: ArrayBuffer): void {
    const { sizeBytesMin, sizeBytesMax, freeBytesMax } = this.#options;
    const sizeBytes = memory.byteLength;
    const isOurs = sizeBytes >= sizeBytesMin && sizeBytes <= sizeBytesMax &&
      (sizeBytes & (sizeBytes - 1)) === 0;
    if (!isOurs || this.#freeBytes + sizeBytes > freeBytesMax) {
      memory.transfer(0);
      return;
    }
    const same = this.#free.get(sizeBytes) ?? [];
    same.push(new Uint8Array(memory));
    this.#free.set(sizeBytes, same);
    this.#freeBytes += sizeBytes;
  }

  /** Called now and then: hold nothing while nobody takes any. */
  sweep(): void {
    if (!this.#wasUsed) {
      this.#free.clear();
      this.#freeBytes = 0;
    }
    this.#wasUsed = false;
  }
}
