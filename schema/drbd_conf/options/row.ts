/**
 * How an option is described: one row of a table, as in `drbdsetup xml-help`.
 *
 * @module
 */

import type { Unit } from "../numbers.ts";

/** A number between bounds. Bounds and default count in `unit`. */
export interface NumberRow {
  /** Kind of the row. */
  readonly kind: "number";
  /** Name of the option. */
  readonly name: string;
  /** Smallest value. */
  readonly min: number;
  /** Largest value of any generation. */
  readonly max: number;
  /** Value when the option is absent. */
  readonly fallback: number;
  /** What a bare number counts. */
  readonly unit: Unit;
  /** Words that may stand for a number (`quorum majority`). */
  readonly symbols: readonly string[];
  /** Symbol when the option is absent, instead of `fallback`. */
  readonly fallbackSymbol: string | undefined;
  /** The parsers take any number; only the running system refuses it. */
  readonly isCheckedLate: boolean;
}

/** `yes` or `no`; the bare name means yes. */
export interface BooleanRow {
  /** Kind of the row. */
  readonly kind: "boolean";
  /** Name of the option. */
  readonly name: string;
  /** Value when the option is absent. */
  readonly fallback: boolean;
}

/** One of a few words. */
export interface ChoiceRow {
  /** Kind of the row. */
  readonly kind: "choice";
  /** Name of the option. */
  readonly name: string;
  /** Words of all generations. */
  readonly values: readonly string[];
  /** Value when the option is absent. */
  readonly fallback: string;
  /** The 8.4 parser takes any word; only the running system refuses it. */
  readonly isCheckedLate: boolean;
}

/** Free text. */
export interface TextRow {
  /** Kind of the row. */
  readonly kind: "text";
  /** Name of the option. */
  readonly name: string;
  /** Longest text the running system takes, in characters. */
  readonly maxChars: number;
}

/** One or more names (`become-primary-on`). */
export interface NamesRow {
  /** Kind of the row. */
  readonly kind: "names";
  /** Name of the option. */
  readonly name: string;
}

/** Only the bare name (`stacked-timeouts`). */
export interface FlagRow {
  /** Kind of the row. */
  readonly kind: "flag";
  /** Name of the option. */
  readonly name: string;
}

/** One option. */
export type OptionRow =
  | NumberRow
  | BooleanRow
  | ChoiceRow
  | TextRow
  | NamesRow
  | FlagRow;

/** The options of a section, by name. */
export type OptionTable = ReadonlyMap<string, OptionRow>;

/** What is special about a number. */
export interface NumberExtras {
  /** What a bare number counts; ones if absent. */
  readonly unit?: Unit;
  /** Words that may stand for a number; the first one is the default. */
  readonly symbols?: readonly string[];
  /** The parsers take any number. */
  readonly isCheckedLate?: boolean;
}

/** A row for a number: smallest, largest, default. */
export function number(
  name: string,
  range: readonly [min: number, max: number, fallback: number],
  extras: NumberExtras = {},
): NumberRow {
  const [min, max, fallback] = range;
  const { unit = "1", symbols = [], isCheckedLate = false } = extras;
  const fallbackSymbol = symbols[0];
  return {
    kind: "number",
    name,
    min,
    max,
    fallback,
    unit,
    symbols,
    fallbackSymbol,
    isCheckedLate,
  };
}

/** A row for yes or no. */
export function boolean(name: string, fallback: boolean): BooleanRow {
  return { kind: "boolean", name, fallback };
}

/** A row for one of a few words, of which the first is the default. */
export function choice(
  name: string,
  values: readonly [string, ...string[]],
): ChoiceRow {
  const [fallback] = values;
  return { kind: "choice", name, values, fallback, isCheckedLate: true };
}

/** A row for free text. */
export function text(name: string, maxChars = 255): TextRow {
  return { kind: "text", name, maxChars };
}

/** A table from its rows. */
export function table(...rows: OptionRow[]): OptionTable {
  return new Map(rows.map((row) => [row.name, row]));
}
