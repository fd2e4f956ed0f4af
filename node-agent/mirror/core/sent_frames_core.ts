/**
 * The numbers of the frames that a Primary sends, and how far the peer is.
 *
 * @module
 */

import type { Owed } from "./answer_watch_core.ts";

/** How far the peer says that it is, by the number of a frame. */
export interface Progress {
  readonly received: number;
  readonly written: number;
  readonly stable: number;
}

const NOTHING: Progress = { received: 0, written: 0, stable: 0 };

/** See the module comment. */
export class SentFrames {
  /** How far the peer is. */
  peer: Progress = NOTHING;
  #last = 0;
  /** Flushes that are not done, by number. */
  #flushes: number[] = [];
  /** Frames up to this one were given up when the peer lost its disk. */
  #forgottenUpTo = 0;

  /** The number of the last frame; 0: none was sent. */
  get last(): number {
    return this.#last;
  }

  /** The number of the next frame. */
  next(): number {
    return ++this.#last;
  }

  /** The number of the next frame, which is a flush. */
  nextFlush(): number {
    const sequence = this.next();
    this.#flushes.push(sequence);
    return sequence;
  }

  /** What the peer is to write. */
  get owedWrite(): Owed {
    const isOpen = this.unconfirmed > 0;
    return { what: "a write", isOpen, answered: this.peer.written };
  }

  /** What the peer is to make stable, and knows of. */
  get owedFlush(): Owed {
    const { written, stable } = this.peer;
    const [oldest = Infinity] = this.#flushes;
    return { what: "a flush", isOpen: oldest <= written, answered: stable };
  }

  /** A link is ready to replicate: numbers begin anew. */
  begin(): void {
    this.#last = 0;
    this.#flushes = [];
    this.#forgottenUpTo = 0;
    this.peer = NOTHING;
  }

  /** The peer told how far it is. False: that is impossible. */
  acknowledged({ received, written, stable }: Progress): boolean {
    const { peer } = this;
    const isPossible = received <= this.#last && written <= received &&
      stable <= written && received >= peer.received &&
      written >= peer.written && stable >= peer.stable;
    if (!isPossible) return false;
    this.peer = { received, written, stable };
    while ((this.#flushes[0] ?? Infinity) <= stable) this.#flushes.shift();
    return true;
  }

  /** The peer, or its disk, is gone: nothing is awaited of what was sent. */
  forget(): void {
    this.#forgottenUpTo = this.#last;
    this.#flushes = [];
  }

  /** Whether a frame was for a disk of the peer that has gone since. */
  isForgotten(sequence: number): boolean {
    return sequence <= this.#forgottenUpTo;
  }

  /** Frames that the peer has not written. */
  get unconfirmed(): number {
    const settled = Math.max(this.peer.written, this.#forgottenUpTo);
    return Math.max(0, this.#last - settled);
  }

  /** Whether the peer has everything that was sent to it on its disk. */
  get isStableThere(): boolean {
    return Math.max(this.peer.stable, this.#forgottenUpTo) >= this.#last;
  }
}
