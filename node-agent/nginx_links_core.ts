/**
 * For which seconds another program may serve this node's files by itself.
 *
 * @module
 */

/** How far ahead leave is given, in ms: what a stalled event loop may cost. */
export const LEAVE_MS = 2000;

/**
 * The seconds, as nginx's clock counts them, in which files may be served
 * without asking this node.
 *
 * @param wallMs Now; nginx on this machine has the same clock.
 * @param forMs How long reads may surely be served, from now; see `mayRead`.
 * @returns Seconds since the Unix epoch, the present one first. A second counts
 * only when all that is left of it lies within `forMs`.
 *
 * @example
 * ```ts ignore
 * leaveSeconds(1_000_400, 2000); // [1000, 1001]
 * ```
 */
export function leaveSeconds(wallMs: number, forMs: number): number[] {
  const endMs = wallMs + Math.min(forMs, LEAVE_MS);
  const seconds: number[] = [];
  for (let s = Math.floor(wallMs / 1000); (s + 1) * 1000 <= endMs; s++) {
    seconds.push(s);
  }
  return seconds;
}
