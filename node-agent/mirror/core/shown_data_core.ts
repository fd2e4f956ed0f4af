/**
 * What the application has last seen: a disk that comes back under a Primary
 * must hold that, and nothing else.
 *
 * A copy of the same generation is not always the same. After a crash the peer
 * and we may each have, or lack, what was written last: blocks that one of both
 * has marked. While our disk is away the peer's copy of them is what is seen.
 *
 * @module
 */

import {
  EMPTY_GENERATION,
  type Generation,
  sameGeneration,
} from "../decisions/generations_core.ts";
import type { OutOfSyncBitmap } from "./bitmap_core.ts";

/** See the module comment. */
export class ShownData {
  /** Its generation; undefined: what our disk has. */
  generation: Generation | undefined;
  #isPeers = false;
  /** Our disk may hold something else under the same name. */
  #mayDiffer = false;
  /** It failed under the Primary that this node still is. */
  #isFailed = false;
  #isServedOn = false;

  /**
   * Our disk, which is let go, showed it.
   *
   * @param facts Whether it still holds that, and was a Primary's.
   */
  wasOurs(
    generation: Generation | undefined,
    { isWhole = true, isServing = false } = {},
  ): void {
    this.generation = isWhole ? generation : EMPTY_GENERATION;
    this.#isPeers = false;
    this.#mayDiffer = !isWhole;
    this.#isFailed = !isWhole && isServing;
    this.#isServedOn = false;
  }

  /**
   * The peer shows it.
   *
   * @param isMarked The peer has marked blocks of its copy.
   */
  isPeers(generation: Generation, isMarked = false): void {
    this.generation = generation;
    this.#isPeers = true;
    this.#mayDiffer ||= isMarked;
    this.servedOn();
  }

  /** The peer goes on serving the Primary that has just lost this disk. */
  servedOn(): void {
    this.#isServedOn ||= this.#isFailed;
  }

  /** Whom the peer serves later has seen other data, perhaps. */
  demoted(): void {
    this.#isFailed = false;
  }

  /** A Primary's disk failed with writes on it, and the peer served it on. */
  get isBeyondOurs(): boolean {
    return this.#isServedOn;
  }

  /** Our disk shows what it has. */
  isOurs(): void {
    this.wasOurs(undefined);
  }

  /** Whether it is known to be of another generation than our disk. */
  isOther(current: Generation | undefined): boolean {
    const { generation } = this;
    return generation !== undefined && generation !== EMPTY_GENERATION &&
      current !== undefined && !this.isNamed(current);
  }

  /** Whether it has the same name as what our disk holds. */
  isNamed(current: Generation): boolean {
    return this.generation !== undefined &&
      sameGeneration(this.generation, current);
  }

  /** Whether our disk, with these marks, holds it. */
  isOn(current: Generation, marks: OutOfSyncBitmap): boolean {
    if (this.generation === undefined) return true;
    if (!this.isNamed(current)) return false;
    return !this.#isPeers || !this.#mayDiffer && marks.count === 0;
  }
}
