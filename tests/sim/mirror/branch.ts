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

/** The values of a piece. */
interface Known {
  readonly byValue: Map<number, BranchValue>;
  /** In the order in which they became known. */
  readonly list: BranchValue[];
}

/** See the module comment. */
export class Branch {
  /** What was there when the line began; 0: something that nobody wrote. */
  readonly first: Uint32Array;
  /** The newest answered value per piece; 0: none. */
  readonly newest: Uint32Array;
  /** When the newest answered flush began. */
  floor = -Infinity;
  /** Only of pieces that more is known of than what was there first. */
  readonly #known: (Known | undefined)[];

  constructor(readonly number: number, pieces: number) {
    this.first = new Uint32Array(pieces);
    this.newest = new Uint32Array(pieces);
    this.#known = new Array<Known | undefined>(pieces).fill(undefined);
  }

  /** How many pieces the volume has. */
  get pieces(): number {
    return this.first.length;
  }

  /** Whether a piece may have this value. */
  has(piece: number, value: number): boolean {
    const known = this.#known[piece];
    if (known !== undefined) return known.byValue.has(value);
    return value !== 0 && this.first[piece] === value;
  }

  /** What is known of a value. */
  get(piece: number, value: number): BranchValue | undefined {
    return this.#of(piece).byValue.get(value);
  }

  /** All values in the order in which they became known, if more than one is. */
  list(piece: number): readonly BranchValue[] | undefined {
    return this.#known[piece]?.list;
  }

  /** It was there when the line began. */
  noteFirst(piece: number, value: number): void {
    this.first[piece] = value;
  }

  /** Somebody writes it, or has written it and was not answered. */
  noteWrite(piece: number, value: number, start: number): void {
    note(this.#of(piece), unread(value, start, Infinity, this.floor));
  }

  #of(piece: number): Known {
    let known = this.#known[piece];
    if (known !== undefined) return known;
    known = { byValue: new Map(), list: [] };
    this.#known[piece] = known;
    const first = this.first[piece] ?? 0;
    if (first !== 0) {
      note(known, unread(first, -Infinity, -Infinity, -Infinity));
    }
    return known;
  }
}

function note({ byValue, list }: Known, value: BranchValue): void {
  byValue.set(value.value, value);
  list.push(value);
}

function unread(
  value: number,
  writeStart: number,
  writeEnd: number,
  floor: number,
): BranchValue {
  return {
    value,
    writeStart,
    writeEnd,
    firstReadEnd: Infinity,
    lastReadStart: -Infinity,
    floor,
  };
}
