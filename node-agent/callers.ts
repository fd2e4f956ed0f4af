/**
 * Callers that have left before they were taken in.
 *
 * @module
 */

/**
 * Whether an accept failed because its caller was gone already: the next one may
 * be waiting, so no pause is made. Otherwise a stranger who connects and resets
 * a few times a second would keep everybody else out.
 */
export function isCallerGone(error: unknown): boolean {
  return error instanceof Deno.errors.NotConnected ||
    error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.ConnectionAborted;
}
