/**
 * Forgets idempotency keys that are too old.
 *
 * @module
 */

import type { WriteStatements } from "./statements.ts";

/** How often old idempotency keys are looked for, in ms. */
const KEY_CHECK_MS = 60 * 60 * 1000;

/** Looks once an hour, however often it is called. */
export class KeySweep {
  readonly #statements: WriteStatements;
  readonly #keyLifeMs: number;
  #lastMs = 0;

  /** Keys live so many milliseconds. */
  constructor(statements: WriteStatements, keyLifeMs: number) {
    this.#statements = statements;
    this.#keyLifeMs = keyLifeMs;
  }

  /** Forget them. */
  run(): void {
    const nowMs = Date.now();
    if (nowMs - this.#lastMs < KEY_CHECK_MS) return;
    this.#lastMs = nowMs;
    this.#statements.dropKeys.run({ beforeMs: nowMs - this.#keyLifeMs });
  }
}
