/**
 * Commands that meet a change of state under way are tried again for a moment.
 *
 * DRBD hands "-18 In transient state, retry after next state change" to whoever
 * types `up` and `primary` one after the other; a person can do no more than what
 * is done here.
 *
 * @module
 */

import type { CommandDone, CommandResult } from "./core/volume_types.ts";

/** "In transient state, retry after next state change". Source: drbd.md §6. */
const IN_TRANSIENT_STATE = -18;
/** How long a command is tried, in ms: longer than any handshake of a live peer. */
const TRIED_MS = 5000;
/** Between two tries, in ms. */
const PAUSE_MS = 50;

/** Time, for tests. */
export interface RetryTime {
  /** Monotonic, in ms. */
  now(): number;
  /** Call it so many ms later. */
  later(act: () => void, ms: number): void;
}

const REAL: RetryTime = {
  now: () => performance.now(),
  later: (act, ms) => void setTimeout(act, ms),
};

/**
 * Try a command until it meets no change of state any more, or for 5 s.
 *
 * @param attempt Begins the command once; may call back at once or later.
 * @param isWanted Whether there still is something to command.
 * @param done Told the result that counts.
 */
export function untilSettled(
  attempt: (done: CommandDone) => void,
  { isWanted, done, time = REAL }: {
    readonly isWanted: () => boolean;
    readonly done: CommandDone;
    readonly time?: RetryTime;
  },
): void {
  const endMs = time.now() + TRIED_MS;
  const judge = (result: CommandResult) => {
    const isTransient = result.code === IN_TRANSIENT_STATE;
    if (!isTransient || time.now() >= endMs) return done(result);
    time.later(() => isWanted() ? attempt(judge) : done(result), PAUSE_MS);
  };
  attempt(judge);
}
