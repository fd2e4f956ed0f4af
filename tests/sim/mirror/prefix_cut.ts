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

import type { Branch, BranchValue } from "./branch.ts";

/** An image: by piece the value, and how values descend from one another. */
export interface Image {
  /** Undefined: something that nobody wrote. */
  seen(piece: number): number | undefined;
  descends(piece: number, value: number, old: number): boolean;
  /** Nothing is said about it. */
  isDamaged(piece: number): boolean;
}

/**
 * Writes of a piece that may have been under way at once: of what was answered
 * before a cut, only so many of the newest are looked for. An older one is what
 * they came from, or was missing at an earlier look.
 */
const AT_ONCE_MAX = 16;

/** What is wrong with an image as a cut of this line; undefined: nothing. */
export function brokenCut(branch: Branch, image: Image): string | undefined {
  let cut = -Infinity;
  let cutBy = "";
  for (let piece = 0; piece < branch.pieces; piece++) {
    const values = branch.list(piece);
    if (values === undefined) continue;
    const newest = newestFloorIn(values, piece, image, cut);
    if (newest === undefined) continue;
    cut = newest.floor;
    cutBy = `${newest.value} of piece ${piece}`;
  }
  if (cut === -Infinity) return undefined;
  for (let piece = 0; piece < branch.pieces; piece++) {
    const values = branch.list(piece);
    if (values === undefined) continue;
    const missing = missingIn(values, piece, image, cut);
    if (missing === undefined) continue;
    return `${cutBy} is there, and ${missing.value} of piece ${piece} ` +
      `(block ${piece >> 3}), answered before a flush in between, is not ` +
      `(it is ${image.seen(piece)})`;
  }
  return undefined;
}

/** The newest write that is in the image, if its floor is above the cut. */
function newestFloorIn(
  values: readonly BranchValue[],
  piece: number,
  image: Image,
  cut: number,
): BranchValue | undefined {
  // Floors only grow, so the newest one that is there says it all.
  if ((values.at(-1)?.floor ?? -Infinity) <= cut) return undefined;
  const seen = image.seen(piece);
  if (seen === undefined || image.isDamaged(piece)) return undefined;
  for (let at = values.length - 1; at >= 0; at--) {
    const each = values[at];
    if (each === undefined || each.floor <= cut) return undefined;
    if (image.descends(piece, seen, each.value)) return each;
  }
  return undefined;
}

/** A write that was answered before the cut, and is not in the image. */
function missingIn(
  values: readonly BranchValue[],
  piece: number,
  image: Image,
  cut: number,
): BranchValue | undefined {
  const seen = image.seen(piece);
  if (image.isDamaged(piece)) return undefined;
  let left = AT_ONCE_MAX;
  for (let at = values.length - 1; at >= 0 && left > 0; at--) {
    const each = values[at];
    if (each === undefined || each.writeEnd >= cut) continue;
    left--;
    const isThere = seen !== undefined &&
      image.descends(piece, seen, each.value);
    if (!isThere) return each;
  }
  return undefined;
}

/** Whether every value of an image is known in a line. */
export function isOf(branch: Branch, image: Image): boolean {
  for (let piece = 0; piece < branch.pieces; piece++) {
    const seen = image.seen(piece);
    const isKnown = seen !== undefined && branch.has(piece, seen);
    if (!isKnown && !image.isDamaged(piece)) return false;
  }
  return true;
}
