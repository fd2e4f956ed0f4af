/**
 * Options of a command as a table: parsing, help and shell completion are read
 * from the same rows, so they cannot disagree.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { UsageError } from "./errors.ts";
import { nearest } from "./nearest.ts";

/** One option. */
export interface Option {
  /** `flag` takes no value, `text` one, `list` may be repeated. */
  readonly kind: "flag" | "text" | "list";
  /** What it does, one line. */
  readonly help: string;
  /** Name of the value in the help, such as `URL`. */
  readonly value?: string;
  /** One letter. */
  readonly short?: string;
  /** Value when it is missing. */
  readonly fallback?: string;
  /** Words that the value can be, for completion. */
  readonly choices?: readonly string[];
}

/** Options by name, without the dashes. */
export type OptionTable = Readonly<Record<string, Option>>;

/** The value of one option. */
type ValueOf<Row extends Option> = Row["kind"] extends "flag" ? boolean
  : Row["kind"] extends "list" ? string[]
  : Row extends { readonly fallback: string } ? string
  : string | undefined;

/** The values of a table. */
export type Values<Table extends OptionTable> = {
  readonly [Name in keyof Table]: ValueOf<Table[Name]>;
};

/** Options that every command has. */
export const COMMON = {
  json: { kind: "flag", help: "print JSON instead of text" },
  help: { kind: "flag", short: "h", help: "show this help" },
} as const satisfies OptionTable;

/** What stood on the command line. */
export interface Parsed<Table extends OptionTable> {
  /** Options. */
  readonly values: Values<Table & typeof COMMON>;
  /** Everything else, in order. */
  readonly words: readonly string[];
}

/**
 * Parse a command line strictly.
 *
 * @param args Words after the command's name. After `--` nothing is an option.
 * @param table The command's own options; `--json` and `--help` are added.
 * @returns Options and words.
 * @throws {UsageError} For an unknown option (with the nearest known one), a
 * missing value, or a value that is not among the choices.
 */
export function parse<const Table extends OptionTable>(
  args: readonly string[],
  table: Table,
): Parsed<Table> {
  const all: OptionTable = { ...table, ...COMMON };
  const options = Object.fromEntries(
    Object.entries(all).map(([name, { kind, short, fallback }]) => [name, {
      type: kind === "flag" ? "boolean" as const : "string" as const,
      multiple: kind === "list",
      ...(short === undefined ? {} : { short }),
      ...(fallback === undefined ? {} : { default: fallback }),
    }]),
  );
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      options,
      strict: true,
      allowPositionals: true,
    });
  } catch (error) {
    throw new UsageError(explain(error, all));
  }
  const values: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(all)) {
    values[name] = complete(name, option, parsed.values[name]);
  }
  return {
    values: values as Values<Table & typeof COMMON>,
    words: parsed.positionals,
  };
}

/**
 * A whole number from the command line.
 *
 * @throws {UsageError} When it is not one, or outside the range.
 */
export function wholeNumber(
  name: string,
  text: string,
  range: { readonly min: number; readonly max: number },
): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (value >= range.min && value <= range.max) return value;
  throw new UsageError(
    `${name} must be a whole number from ${range.min} to ${range.max}, got "${text}"`,
  );
}

/**
 * One value from `--name`, or the words' names in a message.
 *
 * @throws {UsageError} When a word is missing or one is left over.
 */
export function exactly(
  words: readonly string[],
  ...names: readonly string[]
): string[] {
  const missing = names.slice(words.length);
  if (missing.length > 0) throw new UsageError(`Missing ${missing.join(", ")}`);
  const [extra] = words.slice(names.length);
  if (extra !== undefined) throw new UsageError(`Unexpected word "${extra}"`);
  return [...words];
}

function complete(name: string, option: Option, value: unknown): unknown {
  if (option.kind === "flag") return value === true;
  if (option.kind === "list") return value ?? [];
  if (
    typeof value === "string" && option.choices !== undefined &&
    !option.choices.includes(value)
  ) {
    throw new UsageError(
      `--${name} must be ${option.choices.join(" or ")}, got "${value}"`,
    );
  }
  return value;
}

function explain(error: unknown, table: OptionTable): string {
  const message = error instanceof Error ? error.message : String(error);
  const unknown = /Unknown option '(-{1,2}[^']+)'/.exec(message)?.[1];
  if (unknown === undefined) return message.split(". ")[0] ?? message;
  const guess = nearest(
    unknown.replace(/^-+/, ""),
    Object.keys(table),
  );
  return `Unknown option ${unknown}` +
    (guess === undefined ? "" : `; did you mean --${guess}?`);
}
