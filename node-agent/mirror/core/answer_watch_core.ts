/**
 * How long the peer has owed us an answer: it lives, and does not go on.
 *
 * Questions of a kind are answered in order, so a kind that moves owes nothing
 * old. Only time in which this node was told the time counts: a process that
 * stood still has not read the answers that came meanwhile.
 *
 * Source: DRBD 8.4 (request_timer_fn: the oldest request that the peer has not
 * confirmed, or the oldest barrier, is older than ko-count × timeout).
 *
 * @module
 */

/** The longest step that counts between two looks, in ms. */
const STEP_MS_MAX = 1_000;

/** Questions of one kind. */
export interface Owed {
  /** What the peer does not answer, in words for people. */
  readonly what: string;
  /** Whether it has one that it has not answered. */
  readonly isOpen: boolean;
  /** How far it is; another number means that it goes on. */
  readonly answered: number;
}

interface Standstill {
  readonly answered: number;
  readonly sinceMs: number;
}

/** See the module comment. */
export class AnswerWatch {
  #clockMs = 0;
  #lastMs: number | undefined;
  readonly #still = new Map<string, Standstill>();

  /** A connection begins: nobody owes anything. */
  reset(): void {
    this.#lastMs = undefined;
    this.#still.clear();
  }

  /**
   * Look at everything that is owed.
   *
   * @returns What has been for longer than `limitMs`; undefined: nothing has.
   */
  look(
    nowMs: number,
    limitMs: number,
    owed: readonly Owed[],
  ): string | undefined {
    const stepMs = nowMs - (this.#lastMs ?? nowMs);
    this.#clockMs += Math.max(0, Math.min(stepMs, STEP_MS_MAX));
    this.#lastMs = nowMs;
    let late: string | undefined;
    for (const each of owed) {
      if (this.#ageMs(each) > limitMs) late ??= each.what;
    }
    return late;
  }

  #ageMs({ what, isOpen, answered }: Owed): number {
    const still = this.#still.get(what);
    const isOld = isOpen && still?.answered === answered;
    if (!isOld) this.#still.delete(what);
    if (isOld) return this.#clockMs - still.sinceMs;
    if (isOpen) this.#still.set(what, { answered, sinceMs: this.#clockMs });
    return 0;
  }
}
