/**
 * Forgets the oldest records of our log, a few in each transaction, so that no
 * change waits for long.
 *
 * Where the log begins is stored together with what goes. The last record of the
 * present run always stays: the next start learns the last number from it, and a
 * number must never be given out twice (promises.md F7).
 *
 * @module
 */

import type { LogPlace } from "../ports.ts";
import { CUT_KEY } from "./committer.ts";
import type { StoreParts } from "./local_files.ts";

/** Records that are forgotten in one transaction. */
const CUT_COUNT = 1000;

/** Where our log begins. */
export class LogCut {
  readonly #parts: Pick<StoreParts, "pump" | "index">;
  readonly #incarnation: number;
  #place: LogPlace | undefined;

  /** The cut of a store with this present run. */
  constructor(
    parts: Pick<StoreParts, "pump" | "index">,
    incarnation: number,
  ) {
    this.#parts = parts;
    this.#incarnation = incarnation;
    const saved = parts.index.statements.state.get({ key: CUT_KEY })?.value;
    if (saved === undefined) return;
    const place: Record<keyof LogPlace, unknown> = JSON.parse(saved);
    this.#place = {
      incarnation: Number(place.incarnation),
      sequence: Number(place.sequence),
    };
  }

  /** Our records up to here are forgotten. */
  get place(): LogPlace | undefined {
    return this.#place;
  }

  /**
   * Forget some records, the oldest first.
   *
   * @param upTo None after this place.
   * @param head Last number of the present run that is stored.
   * @returns Whether there may be more.
   */
  async some(upTo: LogPlace, head: number): Promise<boolean> {
    const { pump, index: { statements } } = this.#parts;
    const first = statements.firstChange.get({});
    if (first === undefined || first.incarnation > upTo.incarnation) {
      return false;
    }
    const { incarnation } = first;
    const isPresent = incarnation === this.#incarnation;
    const last = isPresent
      ? head - 1
      : statements.lastSequence.get({ incarnation })?.last ?? 0;
    const end = incarnation === upTo.incarnation ? upTo.sequence : last;
    const sequence = Math.min(first.sequence + CUT_COUNT - 1, last, end);
    if (sequence < first.sequence) return false;
    await pump.store(() => ({ kind: "cut", incarnation, sequence }), [], false);
    this.#place = { incarnation, sequence };
    return true;
  }
}
