/**
 * What the tracker needs from the world besides its KV store.
 *
 * @module
 */

/** Time. Two clocks, because a wall clock may jump. */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  monotonicMs(): number;
  /** Milliseconds since the Unix epoch; decides only placement and expiry. */
  wallMs(): number;
}

/** The system's clocks. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};

/** Takes one line of the log, without its line end. */
export type LogLine = (line: string) => void;
