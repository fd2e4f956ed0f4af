/**
 * A line of history: what clients of a Primary asked and were told. A new one
 * begins when a node becomes Primary without everything that was answered
 * before.
 *
 * @module
 */

import type { ValueHistory } from "./zones.ts";

/** One value of one piece. */
export interface BranchValue extends ValueHistory {
  /** When the newest flush began that was answered before this write did. */
  readonly floor: number;
}

/** See the module comment. */
export class Branch {
  /** By piece, by value. */
  readonly pieces: Map<number, BranchValue>[];
  /** The newest answered value per piece; 0: none. */
  readonly newest: Uint32Array;
  /** When the newest answered flush began. */
  floor = -Infinity;

  constructor(readonly number: number, pieces: number) {
    this.pieces = Array.from({ length: pieces }, () => new Map());
    this.newest = new Uint32Array(pieces);
  }

  /** The values of a piece. */
  of(piece: number): Map<number, BranchValue> {
    const values = this.pieces[piece];
    if (values === undefined) throw new RangeError(`no piece ${piece}`);
    return values;
  }

  /** It was there when the line began. */
  noteFirst(piece: number, value: number): void {
    this.#note(piece, value, -Infinity, -Infinity);
  }

  /** Somebody writes it, or has written it and was not answered. */
  noteWrite(piece: number, value: number, start: number): void {
    this.#note(piece, value, start, Infinity);
  }

  #note(piece: number, value: number, start: number, end: number): void {
    this.of(piece).set(value, {
      value,
      writeStart: start,
      writeEnd: end,
      firstReadEnd: Infinity,
      lastReadStart: -Infinity,
      floor: end === Infinity ? this.floor : -Infinity,
    });
  }
}
