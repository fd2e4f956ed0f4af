/**
 * Is an image of the volume a write-order prefix (I7, B4)?
 *
 * A flush F orders two writes when the first was answered before F began, and F
 * was answered before the second began. So an image with the second must have
 * the first, or what overwrote it. That is the interval intersection of flush
 * epochs, put in terms of what a client was told: with `floor` the begin of the
 * newest flush that was answered before a write began, everything that was
 * answered before the highest floor of what is in the image must be in it.
 *
 * @module
 */

import type { Branch } from "./branch.ts";

/** An image: by piece the value, and how values descend from one another. */
export interface Image {
  /** Undefined: something that nobody wrote. */
  seen(piece: number): number | undefined;
  descends(piece: number, value: number, old: number): boolean;
  /** Nothing is said about it. */
  isDamaged(piece: number): boolean;
}

/** What is wrong with an image as a cut of this line; undefined: nothing. */
export function brokenCut(branch: Branch, image: Image): string | undefined {
  let cut = -Infinity;
  let cutBy = "";
  branch.pieces.forEach((values, piece) => {
    const seen = image.seen(piece);
    if (seen === undefined || image.isDamaged(piece)) return;
    for (const each of values.values()) {
      if (each.floor <= cut || !image.descends(piece, seen, each.value)) {
        continue;
      }
      cut = each.floor;
      cutBy = `${each.value} of piece ${piece}`;
    }
  });
  if (cut === -Infinity) return undefined;
  for (const [piece, values] of branch.pieces.entries()) {
    if (image.isDamaged(piece)) continue;
    const seen = image.seen(piece);
    for (const each of values.values()) {
      if (each.writeEnd >= cut) continue;
      if (seen !== undefined && image.descends(piece, seen, each.value)) {
        continue;
      }
      return `${cutBy} is there, and ${each.value} of piece ${piece} ` +
        `(block ${piece >> 3}), answered before a flush in between, is not ` +
        `(it is ${seen})`;
    }
  }
  return undefined;
}

/** Whether every value of an image is known in a line. */
export function isOf(branch: Branch, image: Image): boolean {
  return branch.pieces.every((values, piece) => {
    if (image.isDamaged(piece)) return true;
    const seen = image.seen(piece);
    return seen !== undefined && values.has(seen);
  });
}
