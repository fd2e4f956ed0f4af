/**
 * Which value of a piece came from which: whoever overwrites an answered write
 * with something that does not descend from it has lost it.
 *
 * @module
 */

import { Taints } from "./taints.ts";

interface Piece {
  readonly parents: Map<number, number>;
  readonly answered: Set<number>;
  readonly excused: Set<number>;
  readonly loose: Set<number>;
  /** Answered values that no other answered value descends from. */
  tips: number[];
  /** The same, of all that were answered, excused or not. */
  heads: number[];
}

/** See the module comment. */
export class Lineage {
  /** Where history began anew; 0: nowhere yet. */
  readonly #begun: Uint32Array;
  /** Only of pieces that were written. */
  readonly #pieces: (Piece | undefined)[];
  readonly #zeroes = new Map<number, number>();

  readonly taints: Taints;
  /** Behind this piece all roots are the same: the volume was smaller. */
  readonly newFrom: number;

  /** @param roots Values that were there before. */
  constructor(
    pieces: number,
    readonly roots: readonly number[],
    { taints = new Taints(), newFrom = pieces } = {},
  ) {
    this.taints = taints;
    this.newFrom = newFrom;
    this.#begun = new Uint32Array(pieces);
    this.#pieces = new Array<Piece | undefined>(pieces).fill(undefined);
  }

  /** A write of zeroes has a number, its content has none. */
  noteZero(piece: number, value: number): void {
    this.#zeroes.set(piece, value);
  }

  /** Whether zeroes were written here before. */
  isZeroed(piece: number): boolean {
    return this.#zeroes.has(piece);
  }

  /** The value of what is on a disk. Undefined: nobody wrote that. */
  valueOf(piece: number, content: number): number | undefined {
    if (content === 0) return this.#zeroes.get(piece);
    if (piece >= this.newFrom && this.roots.includes(content)) {
      return this.roots[0];
    }
    return content;
  }

  /** Whether a value is known here. */
  isKnown(piece: number, value: number): boolean {
    return this.roots.includes(value) ||
      (this.#pieces[piece]?.parents.has(value) ?? false);
  }

  /** A value is written over another one for the first time, or again. */
  born(piece: number, value: number, over: number): void {
    const { parents } = this.#at(piece);
    if (!parents.has(value) && !this.roots.includes(value)) {
      parents.set(value, over);
    }
  }

  /** `value` was born over something older than what it replaces. */
  loosen(piece: number, value: number): void {
    this.#at(piece).loose.add(value);
  }

  /** It replaces `old` on a good disk: this is what it came from. */
  settle(piece: number, value: number, old: number): void {
    const { loose, parents } = this.#at(piece);
    if (!loose.delete(value) || this.descends(piece, value, old)) return;
    if (!this.descends(piece, old, value)) parents.set(value, old);
  }

  /** Whether `value` is `old` or came from it. */
  descends(piece: number, value: number, old: number): boolean {
    return this.taints.has(piece) || this.cameFrom(piece, value, old);
  }

  /** The same, of damaged pieces, too. */
  cameFrom(piece: number, value: number, old: number): boolean {
    const parents = this.#pieces[piece]?.parents;
    for (let at: number | undefined = value; at !== undefined;) {
      if (at === old) return true;
      at = parents?.get(at);
    }
    return false;
  }

  /** A write was answered. */
  answered(piece: number, value: number): void {
    const place = this.#at(piece);
    place.answered.add(value);
    place.heads = this.#with(piece, place.heads, value);
    if (place.excused.has(value)) return;
    place.tips = this.#with(piece, place.tips, value);
  }

  /** Whether everything that was ever answered is part of `value`, damaged or not. */
  isComplete(piece: number, value: number): boolean {
    const begun = this.#begun[piece] ?? 0;
    const heads = this.#pieces[piece]?.heads ?? (begun === 0 ? [] : [begun]);
    return heads.every((head) => this.cameFrom(piece, value, head));
  }

  /** History begins anew with what is here. */
  beginWith(view: (piece: number) => number | undefined): void {
    for (let piece = 0; piece < this.#begun.length; piece++) {
      const value = view(piece);
      this.#begun[piece] = value ?? 0;
      const place = this.#pieces[piece];
      if (place !== undefined) place.heads = value === undefined ? [] : [value];
    }
  }

  #with(piece: number, tips: number[], value: number): number[] {
    if (tips.some((tip) => this.cameFrom(piece, tip, value))) return tips;
    const kept = tips.filter((tip) => !this.cameFrom(piece, value, tip));
    return [...kept, value];
  }

  /**
   * Answered values that `value` does not contain.
   *
   * @param isKnown Whether something is said of damaged pieces, too.
   */
  missing(piece: number, value: number, isKnown = false): number[] {
    const tips = this.#pieces[piece]?.tips ?? [];
    if (!isKnown && this.taints.has(piece)) return [];
    return tips.filter((tip) => !this.cameFrom(piece, value, tip));
  }

  /** Whether a write was answered. */
  isAnswered(piece: number, value: number): boolean {
    return this.#at(piece).answered.has(value);
  }

  /**
   * Answered values of `old`'s line that `value` does not contain.
   *
   * @param isKnown Whether something is claimed of damaged pieces, too.
   */
  lostBy(
    piece: number,
    old: number,
    value: number,
    isKnown = false,
  ): number[] {
    const { parents, answered, excused } = this.#at(piece);
    const lost: number[] = [];
    for (let at: number | undefined = old; at !== undefined;) {
      if (!isKnown && this.descends(piece, value, at)) break;
      if (this.cameFrom(piece, value, at)) break;
      if (answered.has(at) && !excused.has(at)) lost.push(at);
      at = parents.get(at);
    }
    return lost;
  }

  /** Nobody may rely on these any more. */
  excuse(piece: number, values: readonly number[]): void {
    const place = this.#at(piece);
    for (const value of values) place.excused.add(value);
    const tips: number[] = [];
    for (const tip of place.tips) {
      let at: number | undefined = tip;
      while (
        at !== undefined &&
        (place.excused.has(at) || !place.answered.has(at))
      ) {
        at = place.parents.get(at);
      }
      if (at !== undefined && !this.roots.includes(at)) tips.push(at);
    }
    place.tips = [];
    for (const tip of tips) place.tips = this.#with(piece, place.tips, tip);
  }

  #at(piece: number): Piece {
    const begun = this.#begun[piece] ?? 0;
    const place = this.#pieces[piece] ?? {
      parents: new Map<number, number>(),
      answered: new Set<number>(),
      excused: new Set<number>(),
      loose: new Set<number>(),
      tips: [],
      heads: begun === 0 ? [] : [begun],
    };
    return this.#pieces[piece] = place;
  }
}
