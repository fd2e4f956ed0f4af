/**
 * When a program that died is started again. Pure.
 *
 * The delay doubles from 100 ms to 5 s and falls back to 100 ms after the
 * program ran for 10 s: a program that crashes once is back at once, one that
 * cannot start does not burn a core.
 *
 * @module
 */

/** First delay, in milliseconds. */
export const RESTART_DELAY_MS_MIN = 100;
/** Longest delay, in milliseconds. */
export const RESTART_DELAY_MS_MAX = 5000;
/** A run this long counts as healthy, in milliseconds. */
export const HEALTHY_RUN_MS = 10_000;

/**
 * How long to wait before the next start.
 *
 * @param previousMs The delay before the run that just ended; `undefined` for
 * the first run.
 * @param ranMs How long that run lasted.
 * @returns Milliseconds.
 *
 * @example It doubles, and a healthy run forgives
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.equal(restartDelayMs(undefined, 50), 100);
 * assert.equal(restartDelayMs(100, 50), 200);
 * assert.equal(restartDelayMs(5000, 60_000), 100);
 * ```
 */
export function restartDelayMs(
  previousMs: number | undefined,
  ranMs: number,
): number {
  if (previousMs === undefined || ranMs >= HEALTHY_RUN_MS) {
    return RESTART_DELAY_MS_MIN;
  }
  return Math.min(previousMs * 2, RESTART_DELAY_MS_MAX);
}
