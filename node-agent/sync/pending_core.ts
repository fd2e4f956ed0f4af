/**
 * Changes that wait for their answer, oldest first.
 *
 * A level waits for one number: the sequence up to which everybody who must
 * hold the log holds it. So each level is a queue by sequence, and an answer is
 * a pop from its front: no search, whatever waits.
 *
 * @module
 */

import type { NodeId } from "@kedge/schema";

/** One change that waits. */
export interface PendingChange {
  /** The caller's number. */
  readonly op: number;
  /** Its place in our log. */
  readonly sequence: number;
  /** When it was submitted, in core time. */
  readonly sinceMs: number;
  /** Node that made the file, when only its owner may make this change. */
  readonly origin: NodeId | undefined;
}

/** Queue of the changes of one level, by sequence. */
export class PendingQueue {
  #items: (PendingChange | undefined)[] = [];
  #first = 0;

  /** How many wait. */
  get size(): number {
    return this.#items.length - this.#first;
  }

  /** The one that has waited longest. */
  get oldest(): PendingChange | undefined {
    return this.#items[this.#first];
  }

  /**
   * Add a change.
   *
   * @throws {RangeError} When its sequence is not the highest.
   */
  push(change: PendingChange): void {
    const last = this.#items[this.#items.length - 1];
    if (this.size > 0 && last !== undefined) {
      if (change.sequence <= last.sequence) {
        throw new RangeError(
          `Cannot wait for ${change.sequence}: ${last.sequence} waits already`,
        );
      }
    }
    this.#items.push(change);
  }

  /** Take the oldest if it is at most `sequence`. */
  takeUpTo(sequence: number): PendingChange | undefined {
    const oldest = this.oldest;
    if (oldest === undefined || oldest.sequence > sequence) return undefined;
    return this.#take();
  }

  /** Take the oldest if it was submitted before `beforeMs`. */
  takeOlderThan(beforeMs: number): PendingChange | undefined {
    const oldest = this.oldest;
    if (oldest === undefined || oldest.sinceMs >= beforeMs) return undefined;
    return this.#take();
  }

  /** Take all that fit, wherever they are. For rare events: O(n). */
  takeWhere(fits: (change: PendingChange) => boolean): PendingChange[] {
    const taken: PendingChange[] = [];
    const kept: PendingChange[] = [];
    for (const change of this.#items) {
      if (change !== undefined) (fits(change) ? taken : kept).push(change);
    }
    this.#items = kept;
    this.#first = 0;
    return taken;
  }

  #take(): PendingChange | undefined {
    const taken = this.#items[this.#first];
    this.#items[this.#first++] = undefined;
    // Give the room back once half of it is empty: amortised O(1).
    if (this.#first > 64 && this.#first * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return taken;
  }
}
