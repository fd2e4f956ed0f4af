/**
 * Parse what is read again and again only when it has changed.
 *
 * @module
 */

import type { z } from "zod";
import type { KvEntry } from "./kv.ts";
import { parseEntry } from "./parse.ts";

interface Parsed {
  readonly version: string;
  readonly value: unknown;
}

/** Values by key, each with the version it was parsed from. */
export type ParsedValues = ReadonlyMap<string, Parsed>;

/** Parses each version of a value once; forgets what is not stored any more. */
export class ParsedOnce {
  /** What this reading has parsed: for the next one. */
  readonly parsed = new Map<string, Parsed>();
  readonly #before: ParsedValues;

  /** Start a reading that knows the values of the one before. */
  constructor(before: ParsedValues) {
    this.#before = before;
  }

  /** A value of its type; throws as `parseEntry`. */
  parse<Schema extends z.ZodType>(
    entry: KvEntry,
    schema: Schema,
  ): z.output<Schema> {
    const name = entry.key.join("/");
    const known = this.#before.get(name);
    const value = known?.version === entry.version
      ? known.value as z.output<Schema>
      : parseEntry(entry, schema).value;
    this.parsed.set(name, { version: entry.version, value });
    return value;
  }

  /** Values by the second part of their keys. */
  parseAll<Schema extends z.ZodType, Key>(
    entries: readonly KvEntry[],
    schema: Schema,
    keyOf: (part: unknown) => Key,
  ): Map<Key, z.output<Schema>> {
    return new Map(
      entries.map((entry) => [keyOf(entry.key[1]), this.parse(entry, schema)]),
    );
  }
}
