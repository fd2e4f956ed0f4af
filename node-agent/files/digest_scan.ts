/**
 * Counts the rows of the index into the digests, a slice at a time.
 *
 * @module
 */

import type { DigestTable } from "./digest_table.ts";
import type { ReadStatements } from "./statements.ts";

/** Longest scan between two messages, in ms. */
const SLICE_MS = 5;
/** Rows scanned at a time. */
const SCAN_ROWS = 500;
/** Larger than any ID: they begin with a letter or digit. */
const BEYOND_IDS = "~";

/** One scan; needed once per start. */
export class DigestScan {
  readonly #digests: DigestTable;
  readonly #statements: ReadStatements;
  readonly #isOver: () => boolean;

  /** Count into these, until the database is closed. */
  constructor(
    digests: DigestTable,
    statements: ReadStatements,
    isOver: () => boolean,
  ) {
    this.#digests = digests;
    this.#statements = statements;
    this.#isOver = isOver;
  }

  /** Scan a slice now and the rest in between. */
  goOn(): void {
    if (this.#isOver() || this.#digests.isComplete) return;
    if (this.slice()) setTimeout(() => this.goOn(), 0);
  }

  /** Scan a slice; returns whether there is more. */
  slice(): boolean {
    const untilMs = performance.now() + SLICE_MS;
    while (!this.#digests.isComplete && performance.now() < untilMs) {
      this.#digests.scan(this.#statements.filesBetween.all({
        from: `${this.#digests.cursor}\u0001`,
        to: BEYOND_IDS,
        limit: SCAN_ROWS,
      }));
    }
    return !this.#digests.isComplete;
  }
}
