/**
 * Pieces that a disk holds wrongly without knowing: it lied about a flush and
 * lost power, or a bit has rotted. What can be claimed of them:
 *
 * - Nothing is claimed of what the bad disk itself serves: no checksum is kept
 *   beside a block, so it cannot know. A piece that it served (as Primary, as
 *   source of a resync, to a Primary without a disk) is **spread**.
 * - Every other piece keeps every promise: damage stays where it happened.
 * - A piece that is not spread loses nothing: reads of it are linearizable, and
 *   everything answered is there at the end (the good copy served all along).
 * - No damage stays unknown: an online verify finds every piece that differs,
 *   and the resync after it makes both disks equal.
 *
 * So with protocol C one lying disk loses nothing as long as the other one
 * serves; after a fail-over to the liar only what the lie hid may be old.
 * What is claimed where metadata are lied about, too: `lying_meta.ts`.
 *
 * @module
 */

import type { SimNode } from "./sim_node.ts";

interface Taint {
  readonly by: 0 | 1;
  isSpread: boolean;
  /** What was there before the damage. */
  readonly before: number;
}

/** See the module comment. */
export class Taints {
  readonly #of = new Map<number, Taint>();
  /**
   * Pieces that differed without a mark: which of both copies a verify keeps is
   * up to chance, so they are part of no prefix.
   */
  readonly unmarked = new Set<number>();
  /** Whether there ever was one: an operator will verify. */
  isAny = false;

  /** Whether nothing is promised for a piece now. */
  has(piece: number): boolean {
    return this.#of.has(piece);
  }

  /** Whether its history can be judged. */
  isSpread(piece: number): boolean {
    return this.#of.get(piece)?.isSpread === true;
  }

  /** What a node's piece was before it was damaged; undefined: it is not. */
  before(node: SimNode, piece: number): number | undefined {
    const taint = this.#of.get(piece);
    return taint?.by === node.id ? taint.before : undefined;
  }

  /** The disk of a node holds a piece wrongly; it was `before`. */
  add(node: SimNode, piece: number, before: number): void {
    this.isAny = true;
    const known = this.#of.get(piece);
    if (known === undefined) {
      const isServing = node.core?.state.role === "Primary";
      this.#of.set(piece, { by: node.id, isSpread: isServing, before });
    } else if (known.by !== node.id) known.isSpread = true;
    node.trace(`piece ${piece} is damaged`);
    node.world.mark("damaged");
  }

  /** A node has written a piece: what it holds there is right again. */
  wrote(node: SimNode, piece: number): void {
    const taint = this.#of.get(piece);
    if (taint === undefined || taint.isSpread || taint.by !== node.id) return;
    this.#of.delete(piece);
    node.world.mark("damage overwritten");
  }

  /** A node reads its disk for somebody. */
  served(node: SimNode, piece: number): void {
    const taint = this.#of.get(piece);
    if (taint !== undefined && taint.by === node.id) taint.isSpread = true;
  }

  /** Both disks are equal again: what did not spread is judged like the rest. */
  compared(): void {
    for (const [piece, { isSpread }] of this.#of) {
      if (!isSpread) this.#of.delete(piece);
    }
  }
}
