/** Rows in columns. Pure. */

/**
 * Lay out a table with two spaces between columns.
 *
 * @param head Names of the columns; a name that ends with "›" is aligned right
 * (the mark is not printed).
 * @param rows Cells as text. Missing cells are empty.
 * @param columns Width that lines are cut to; `undefined` never cuts.
 * @returns Lines, the heading first.
 *
 * @example Numbers go right
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(tableLines(["NAME", "SIZE›"], [["a", "5"], ["bcdef", "17"]]), [
 *   "NAME   SIZE",
 *   "a         5",
 *   "bcdef    17",
 * ]);
 * ```
 */
export function tableLines(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  columns?: number,
): string[] {
  const isRight = head.map((name) => name.endsWith("›"));
  const all = [head.map((name) => name.replace(/›$/, "")), ...rows];
  const widths = head.map((_, at) =>
    Math.max(...all.map((row) => widthOf(row[at] ?? "")))
  );
  return all.map((row) => {
    const cells = widths.map((width, at) => {
      const text = row[at] ?? "";
      const fill = " ".repeat(width - widthOf(text));
      return isRight[at] ? fill + text : text + fill;
    });
    return cutTo(cells.join("  ").trimEnd(), columns);
  });
}

/**
 * Cut text to a width and show that something is missing.
 *
 * @param columns Most characters; `undefined` never cuts.
 */
export function cutTo(text: string, columns: number | undefined): string {
  if (columns === undefined || widthOf(text) <= columns) return text;
  return [...text].slice(0, Math.max(0, columns - 1)).join("") + "…";
}

/**
 * Text from elsewhere without characters that steer a terminal.
 *
 * A file name is chosen by strangers; escape sequences in it must not reach the
 * operator's screen.
 */
export function plainText(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, "?");
}

function widthOf(text: string): number {
  return [...text].length;
}
