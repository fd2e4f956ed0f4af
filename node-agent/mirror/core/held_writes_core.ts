/**
 * Writes that may not start yet: I/O is suspended, a handshake runs, or their
 * extent is not in the activity log.
 *
 * @module
 */

import type { Piece } from "./write_pieces_core.ts";

/** Bytes of held writes after which no more requests are welcome. */
const HELD_BYTES_MAX = 8 * 1024 * 1024;

/** See the module comment. */
export class HeldWrites {
  #pieces: Piece[] = [];
  #bytes = 0;

  /** How many are held. */
  get count(): number {
    return this.#pieces.length;
  }

  /** Whether no more requests should be taken for now. */
  get isFull(): boolean {
    return this.#bytes > HELD_BYTES_MAX;
  }

  /** @param isCopied The data stay as they are; otherwise they are copied. */
  add(piece: Piece, isCopied: boolean): void {
    const data = isCopied ? piece.data : piece.data?.slice();
    this.#pieces.push({ ...piece, data });
    this.#bytes += piece.data === undefined ? 0 : piece.lengthBytes;
  }

  /** Take all, oldest first. */
  takeAll(): Piece[] {
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#bytes = 0;
    return pieces;
  }
}
