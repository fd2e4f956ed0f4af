/**
 * What an operator should see of replication, for a while after it happened.
 *
 * @module
 */

import type { Clock, Log } from "../ports.ts";

/** How long an alarm is shown after it last happened, in milliseconds. */
const SHOWN_MS = 10 * 60 * 1000;
/** Most alarms that are shown; a heartbeat carries 32 in all. */
const ALARMS_MAX = 12;
/** Longest text. Source: `Heartbeat` in schema/node.ts. */
const TEXT_LENGTH_MAX = 300;

/** See the module comment. */
export class Alarms {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #seen = new Map<string, number>();

  /** No alarm yet. */
  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Something happened that an operator must know. */
  raise(why: string): void {
    const text = why.slice(0, TEXT_LENGTH_MAX);
    const isNew = !this.#seen.has(text);
    this.#seen.delete(text); // the newest stands last
    this.#seen.set(text, this.#clock.monotonicMs());
    for (const oldest of this.#seen.keys()) {
      if (this.#seen.size <= ALARMS_MAX) break;
      this.#seen.delete(oldest);
    }
    if (isNew) this.#log.warn("alarm", { why: text });
  }

  /** What to show now, oldest first. */
  current(): string[] {
    const nowMs = this.#clock.monotonicMs();
    for (const [text, atMs] of this.#seen) {
      if (nowMs - atMs > SHOWN_MS) this.#seen.delete(text);
    }
    return [...this.#seen.keys()];
  }
}
