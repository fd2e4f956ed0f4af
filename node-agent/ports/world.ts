/**
 * Time and the log, which every part takes.
 *
 * @module
 */

/** Time. Two clocks, because a wall clock may jump. */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. For durations. */
  monotonicMs(): number;
  /** Milliseconds since the Unix epoch. For people and for expiry of tokens. */
  wallMs(): number;
}

/** One line of the log, for people and programs. */
export interface Log {
  /** Something an operator wants to know. */
  info(message: string, facts?: Record<string, unknown>): void;
  /** Something an operator must know. */
  warn(message: string, facts?: Record<string, unknown>): void;
}
