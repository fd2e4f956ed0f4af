/**
 * Why a file cannot be read now.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import { describeError } from "./disk.ts";

/** A failure that says nothing about the content. */
export function problemOfRead(id: string, error: unknown): Problem {
  if (error instanceof Problem) return error;
  const why = `Cannot read ${id} now: ${describeError(error)}`;
  return new Problem("unavailable", why);
}

/** The file is another one than a moment ago. */
export function changed(id: string): Problem {
  return new Problem("unavailable", `${id} changed while it was read`, { id });
}
