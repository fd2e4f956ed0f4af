/**
 * Numbers that follow one another.
 *
 * @module
 */

/** Numbers in ascending order as runs: one statement for each. */
export function runsOf(
  numbers: readonly number[],
): { from: number; to: number }[] {
  const runs: { from: number; to: number }[] = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last?.to === number - 1) last.to = number;
    else runs.push({ from: number, to: number });
  }
  return runs;
}
