/**
 * A write as the pieces that go through the write path: none crosses an extent
 * of the activity log because of its zeroes.
 *
 * @module
 */

/** Called once per request: whether it succeeded. */
export type WriteDone = (ok: boolean) => void;

/** One piece of a write; `data` undefined: zeroes. */
export interface Piece {
  readonly offset: number;
  readonly lengthBytes: number;
  readonly data: Uint8Array | undefined;
  readonly mayPunch: boolean;
  readonly done: WriteDone;
}

/** A range of zeroes, cut at the extents; `done` once, for all of them. */
export function piecesOfZeroes(
  whole: Omit<Piece, "data">,
  extentBytes: number,
): Piece[] {
  const { offset, lengthBytes, mayPunch, done } = whole;
  const pieces: Piece[] = [];
  let left = 0;
  let allOk = true;
  const pieceDone = (ok: boolean) => {
    allOk &&= ok;
    if (--left === 0) done(allOk);
  };
  for (let at = offset; at < offset + lengthBytes;) {
    const end = Math.min(
      offset + lengthBytes,
      (Math.floor(at / extentBytes) + 1) * extentBytes,
    );
    const data = undefined;
    const piece = { offset: at, lengthBytes: end - at, data, mayPunch };
    pieces.push({ ...piece, done: pieceDone });
    at = end;
  }
  left = pieces.length;
  return pieces;
}
