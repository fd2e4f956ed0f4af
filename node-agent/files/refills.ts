/**
 * Store paths that were replaced by an empty disk and are filled from the group:
 * how many files are still to come.
 *
 * @module
 */

import type { Clock } from "../ports.ts";
import type { ReadStatements } from "./statements.ts";

/** How long a count is good, in ms: the repair loop is not faster. */
const LOOK_MS = 1000;

/** Name of the fact in the table `state`. */
export function refillKey(pathIndex: number): string {
  return `refill:${pathIndex}`;
}

/** See the module comment. */
export class Refills {
  readonly #statements: ReadStatements;
  readonly #clock: Clock;
  readonly #seen = new Map<number, { count: number; seenMs: number }>();

  /** Read with these statements. */
  constructor(statements: ReadStatements, clock: Clock) {
    this.#statements = statements;
    this.#clock = clock;
  }

  /**
   * Files that are still to come.
   *
   * @returns 0 for a path that was never replaced, whatever is damaged there.
   */
  filesOn(pathIndex: number): number {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#seen.get(pathIndex);
    if (known !== undefined && nowMs - known.seenMs < LOOK_MS) {
      return known.count;
    }
    const count = this.#count(pathIndex);
    this.#seen.set(pathIndex, { count, seenMs: nowMs });
    return count;
  }

  /** Count anew at the next question: a path was replaced. */
  lookAgain(): void {
    this.#seen.clear();
  }

  #count(pathIndex: number): number {
    const { state, damagedOn } = this.#statements;
    if (state.get({ key: refillKey(pathIndex) }) === undefined) return 0;
    return damagedOn.get({ pathIndex })?.count ?? 0;
  }
}
