/**
 * Values of options after inheritance, with defaults and in plain numbers.
 *
 * @module
 */

import type { Setting } from "./ast.ts";
import { parseNumber, UNIT_SIZE } from "./numbers.ts";
import type { OptionTable } from "./options/row.ts";

/** Options of one section as several levels set them. */
export class OptionValues {
  readonly #table: OptionTable;
  readonly #settings = new Map<string, Setting>();

  /** Later levels win over earlier ones, and later settings within a level. */
  constructor(
    table: OptionTable,
    levels: readonly (readonly Setting[] | undefined)[],
  ) {
    this.#table = table;
    for (const level of levels) {
      for (const setting of level ?? []) {
        this.#settings.set(setting.name, setting);
      }
    }
  }

  /** Whether any level set it. */
  has(name: string): boolean {
    return this.#settings.has(name);
  }

  /** A number in ones: bytes for sizes and rates, else as in the table. */
  number(name: string): number {
    const row = this.#table.get(name);
    if (row?.kind !== "number") throw new TypeError(`no number: ${name}`);
    const fallback = row.fallback * UNIT_SIZE[row.unit];
    return parseNumber(this.text(name) ?? "", row.unit) ?? fallback;
  }

  /** Yes or no. */
  boolean(name: string): boolean {
    const row = this.#table.get(name);
    if (row?.kind !== "boolean") throw new TypeError(`no boolean: ${name}`);
    const text = this.text(name);
    return text === undefined ? row.fallback : text === "yes";
  }

  /** One of these words, of which the first is the default. */
  choice<T extends string>(
    name: string,
    values: readonly [T, ...T[]],
  ): T {
    const text = this.text(name);
    return values.find((value) => value === text) ?? values[0];
  }

  /** The text; `undefined` if absent or empty. */
  text(name: string): string | undefined {
    return this.#settings.get(name)?.values[0] || undefined;
  }

  /** A list of names, empty if absent. */
  names(name: string): readonly string[] {
    return this.#settings.get(name)?.values ?? [];
  }
}
