/**
 * The table of deliberate differences in `docs/drbd-conf.md`: what is not in
 * it must not differ.
 *
 * @module
 */

import assert from "node:assert/strict";
import { answers } from "./drbd_conf_samples.ts";

/** What is compared. */
export type Subject =
  | "verdict"
  | "dump 8.4"
  | "dump 9.34"
  | "up 8.4"
  | "up 9.34";

/** One row of the table. */
export interface Difference {
  /** Name of the rule that takes the difference away. */
  readonly rule: string;
  /** What is compared. */
  readonly subject: Subject;
  /** A sample that has it. */
  readonly sample: string;
}

const PAGE = new URL("../../docs/drbd-conf.md", import.meta.url);
const ROW = /^\| `([\w-]+)`\s*\| ([\w .]+?)\s*\| ([^|]+?)\s*\|/gm;
const SUBJECTS: ReadonlySet<string> = new Set(
  ["verdict", "dump 8.4", "dump 9.34", "up 8.4", "up 9.34"] satisfies Subject[],
);

/** The rows of the page. */
export function differences(): Difference[] {
  return [...Deno.readTextFileSync(PAGE).matchAll(ROW)].map(
    ([line, rule = "", subject = "", sample = ""]) => {
      if (!SUBJECTS.has(subject)) throw new TypeError(`subject of ${line}`);
      return { rule, subject: subject as Subject, sample };
    },
  );
}

/** Remembers which rows were needed, so that stale ones are found. */
export class Ledger {
  /** The rows of the page. */
  readonly rows = differences();
  readonly #needed = new Set<string>();

  /** Rules that may be applied. */
  rulesFor(subject: Subject): string[] {
    return this.rows.filter((row) => row.subject === subject)
      .map(({ rule }) => rule);
  }

  /** Whether a rule is on the page; if so, it made a difference. */
  isKnown(subject: Subject, rule: string): boolean {
    if (!this.rulesFor(subject).includes(rule)) return false;
    this.markNeeded(subject, rule);
    return true;
  }

  /** Says that a rule made a difference. */
  markNeeded(subject: Subject, rule: string): void {
    this.#needed.add(`${subject}: ${rule}`);
  }

  /** Whether a rule made a difference. */
  isNeeded({ subject, rule }: Difference): boolean {
    return this.#needed.has(`${subject}: ${rule}`);
  }
}

/** Refuses rows that made no difference, if their samples were there. */
export function checkStale(ledger: Ledger, subject: Subject): void {
  const stale = ledger.rows.filter((row) =>
    row.subject === subject && answers(row.sample).length > 0 &&
    !ledger.isNeeded(row)
  );
  assert.deepEqual(stale, []);
}
