/**
 * From a stored value to a typed one.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import type { z } from "zod";
import type { KvEntry } from "./kv.ts";

/** A typed value with the version to check. */
export interface Stored<Value> {
  /** The value. */
  readonly value: Value;
  /** Version to check in the commit that replaces it. */
  readonly version: string;
}

/**
 * Parse a stored value: another version of the code may have written it.
 *
 * @param entry What was read.
 * @param schema What it must look like.
 * @returns The value and its version.
 * @throws {Problem} `internal` naming the key, when it is something else.
 */
export function parseEntry<Schema extends z.ZodType>(
  entry: KvEntry,
  schema: Schema,
): Stored<z.output<Schema>> {
  const parsed = schema.safeParse(entry.value);
  if (parsed.success) return { value: parsed.data, version: entry.version };
  throw new Problem(
    "internal",
    `KV key ${JSON.stringify(entry.key)} holds something else than expected`,
  );
}

/** Turn an outcome that is not "committed" into the refusal it is. */
export function uncertain(what: string): Problem {
  return new Problem(
    "kv-uncertain",
    `The KV did not say whether ${what}`,
    { outcome: "unknown" },
  );
}
