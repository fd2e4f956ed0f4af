/** The known word that a mistyped one most likely meant. */

/**
 * Find the nearest known word.
 *
 * @param word What was typed.
 * @param known What there is.
 * @returns The word with the fewest edits, if at most a third of it changes; a
 * known word that begins with what was typed wins.
 */
export function nearest(
  word: string,
  known: readonly string[],
): string | undefined {
  const begins = known.filter((name) => name.startsWith(word));
  if (word.length >= 2 && begins.length === 1) return begins[0];
  let best: string | undefined;
  let fewest = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const name of known) {
    const edits = distance(word, name);
    if (edits < fewest) [best, fewest] = [name, edits];
  }
  return best;
}

/** Edits (insert, delete, replace, swap neighbours) between two words. */
function distance(a: string, b: string): number {
  const width = b.length + 1;
  const cost = new Uint16Array((a.length + 1) * width);
  const at = (i: number, j: number) => cost[i * width + j] ?? 0;
  for (let i = 0; i <= a.length; i++) {
    for (let j = 0; j <= b.length; j++) {
      let least = i === 0 || j === 0 ? i + j : Math.min(
        at(i - 1, j) + 1,
        at(i, j - 1) + 1,
        at(i - 1, j - 1) + Number(a[i - 1] !== b[j - 1]),
      );
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] &&
        a[i - 2] === b[j - 1];
      if (swapped) least = Math.min(least, at(i - 2, j - 2) + 1);
      cost[i * width + j] = least;
    }
  }
  return at(a.length, b.length);
}
