/**
 * Tells of refused connections without letting strangers fill the log: one line
 * per address and reason in every window, and few lines in all.
 *
 * @module
 */

import type { Clock, Log } from "../ports.ts";

/** Length of a window, in milliseconds. */
const WINDOW_MS = 10_000;
/** Most lines of one window. */
const LINES_MAX = 20;

/** See the module comment. */
export class RefusalLog {
  readonly #clock: Clock;
  readonly #log: Log;
  /** What was told in this window. */
  readonly #told = new Set<string>();
  /** Refused since the last line. */
  #untold = 0;
  #sinceMs = -Infinity;

  /** Nothing was refused yet. */
  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** A connection was refused. */
  refused(host: string, why: string): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#sinceMs > WINDOW_MS) {
      this.#sinceMs = nowMs;
      this.#told.clear();
    }
    const line = `${host} ${why}`;
    if (this.#told.has(line) || this.#told.size >= LINES_MAX) {
      this.#untold++;
      return;
    }
    this.#told.add(line);
    const untold = this.#untold;
    this.#untold = 0;
    this.#log.warn("refused a connection", { from: host, why, untold });
  }
}
