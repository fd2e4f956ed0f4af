/**
 * Kinds of settings: texts that a parser of `units.ts` understands, lists,
 * numbers, switches.
 *
 * @module
 */

import { z } from "zod";

/** Text that a parser of `units.ts` must understand. */
export function parsed<Value>(
  parse: (text: string) => Value | undefined,
  wanted: string,
) {
  return z.string().transform((text, context): Value => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue({
      code: "custom",
      message: `"${text}" is not ${wanted}`,
    });
    return z.NEVER;
  });
}

/** A list, or text with commas. */
export function list<Item extends z.ZodType>(item: Item) {
  return z.preprocess(
    (value) =>
      typeof value === "string"
        // A comma inside of brackets belongs to a range of addresses.
        ? value.split(/,(?![^[]*\])/).map((part) => part.trim())
          .filter(Boolean)
        : value,
    z.array(item).min(1),
  );
}

/** A whole number, also as text. */
export function number(min: number, max: number) {
  return z.preprocess(
    (value) =>
      typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value,
    z.int({ error: `must be a whole number, ${min} to ${max}` }).min(min)
      .max(max),
  );
}

/** Yes or no; on the command line the flag alone is yes. Words: FastDFS's. */
export function toggle() {
  return z.preprocess(
    (value) => typeof value === "string" ? yesOrNo(value) ?? value : value,
    z.boolean({ error: "must be yes or no" }),
  );
}

function yesOrNo(text: string): boolean | undefined {
  const word = text.trim().toLowerCase();
  if (["1", "true", "yes", "on"].includes(word)) return true;
  if (["0", "false", "no", "off", ""].includes(word)) return false;
  return undefined;
}
