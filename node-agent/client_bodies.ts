/**
 * Memory for the bodies of clients that is used again once nobody looks at it any
 * more.
 *
 * The rule: whoever keeps bytes beyond the call that gave them to him holds them,
 * and lets go when he will not look at them again. Whoever is in doubt does not
 * let go: then the collector gets the memory one day, which costs time and
 * nothing else. Let go too early, and another client's bytes lie there.
 *
 * Who holds the body of an upload:
 *
 * | who                                   | until                           |
 * | ------------------------------------- | ------------------------------- |
 * | `StorageSide`, which read it          | the file is made                |
 * | `Commits`                             | the log has stored it           |
 * | `RecentRecords`                       | every linked peer has it        |
 * | `LogSender`, for each peer            | the socket has taken all of it  |
 *
 * @module
 */

import { KIB, MIB, RECORD_BODY_BYTES_MAX } from "@kedge/schema";
import { BodyRooms } from "./body_rooms.ts";

/** Shorter bodies are copied wherever they are kept, in bytes. */
export const CLIENT_BODY_BYTES_MIN: number = 16 * KIB;
/** Memory that is kept for the next bodies, in bytes. */
const KEPT_BYTES_MAX = 16 * MIB;

/** Does not look at bytes any more. A second call does nothing. */
export type LetGo = () => void;

/** Memory that was given out. */
interface Lent {
  /** How many hold it; `undefined` once it was given back. */
  holders: number | undefined;
}

/** See the module comment. */
export class ClientBodies {
  readonly #rooms = new BodyRooms({
    sizeBytesMin: CLIENT_BODY_BYTES_MIN,
    sizeBytesMax: RECORD_BODY_BYTES_MAX,
    freeBytesMax: KEPT_BYTES_MAX,
  });
  readonly #lent = new WeakMap<ArrayBufferLike, Lent>();

  /** Memory that waits to be used again, in bytes. */
  get freeBytes(): number {
    return this.#rooms.freeBytes;
  }

  /**
   * Memory of this length; something may lie in it. It comes back when the last
   * who holds it lets go, and never if nobody did.
   */
  readonly take = (lengthBytes: number): Uint8Array<ArrayBuffer> => {
    const room = this.#rooms.take(lengthBytes);
    this.#lent.set(room.buffer, { holders: 0 });
    return room.subarray(0, lengthBytes);
  };

  /**
   * Look at these bytes later. Does nothing for memory that is not from here.
   *
   * @throws {Error} They were given back already: somebody did not hold them.
   */
  hold({ buffer }: Uint8Array): LetGo {
    const lent = this.#lent.get(buffer);
    if (lent === undefined) return nothing;
    if (lent.holders === undefined) {
      throw new Error("the memory of a body was given back too early");
    }
    lent.holders++;
    let isHeld = true;
    return () => {
      if (!isHeld || lent.holders === undefined) return;
      isHeld = false;
      if (--lent.holders > 0) return;
      lent.holders = undefined;
      this.#rooms.giveBack(buffer as ArrayBuffer);
    };
  }

  /** Called now and then: keep nothing while nobody uploads. */
  sweep(): void {
    this.#rooms.sweep();
  }
}

function nothing(): void {}
