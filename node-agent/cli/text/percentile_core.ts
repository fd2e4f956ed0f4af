/** Percentiles of measured times. Pure. */

/**
 * The nearest-rank percentile.
 *
 * @param values Measured values, in any order; not changed.
 * @param percent 0 to 100.
 * @returns The smallest value that at least `percent` of them do not exceed;
 * `undefined` when there are none.
 */
export function percentile(
  values: readonly number[],
  percent: number,
): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const rank = Math.max(1, Math.ceil(percent / 100 * sorted.length));
  return sorted[rank - 1];
}
