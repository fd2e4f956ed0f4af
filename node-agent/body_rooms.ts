/**
 * Memory for bodies that is used again: new memory for each is mapped, zeroed and
 * unmapped by the kernel, and V8 answers so much of it with collections of the
 * whole heap.
 *
 * @module
 */

/** Sizes are powers of two, from this on, in bytes. */
const ROOM_BYTES_MIN = 32 << 10;

/** See the module comment. */
export class BodyRooms {
  /** By size. */
  readonly #free = new Map<number, Uint8Array<ArrayBuffer>[]>();
  readonly #freeBytesMax: number;
  #freeBytes = 0;

  /**
   * Nothing is held yet.
   *
   * @param freeBytesMax Most memory to hold while nobody uses it, in bytes.
   */
  constructor(freeBytesMax: number) {
    this.#freeBytesMax = freeBytesMax;
  }

  /** Memory that waits to be used again, in bytes. */
  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** Memory with at least this length; something may lie in it. */
  take(lengthBytes: number): Uint8Array<ArrayBuffer> {
    let sizeBytes = ROOM_BYTES_MIN;
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
    const sizeBytes = memory.byteLength;
    const isOurs = sizeBytes >= ROOM_BYTES_MIN &&
      (sizeBytes & (sizeBytes - 1)) === 0;
    if (!isOurs || this.#freeBytes + sizeBytes > this.#freeBytesMax) {
      memory.transfer(0);
      return;
    }
    const same = this.#free.get(sizeBytes) ?? [];
    same.push(new Uint8Array(memory));
    this.#free.set(sizeBytes, same);
    this.#freeBytes += sizeBytes;
  }
}
