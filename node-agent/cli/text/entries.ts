/** `K=V` words. Pure. */

import { UsageError } from "../errors.ts";

/**
 * Read metadata entries.
 *
 * @param words Each `name=value`; the value may contain `=`.
 * @throws {UsageError} For a word without a name or without `=`.
 */
export function parseEntries(words: readonly string[]): Record<string, string> {
  const entries: Record<string, string> = {};
  for (const word of words) {
    const at = word.indexOf("=");
    if (at < 1) {
      throw new UsageError(`Metadata must be NAME=VALUE, got "${word}"`);
    }
    entries[word.slice(0, at)] = word.slice(at + 1);
  }
  return entries;
}
