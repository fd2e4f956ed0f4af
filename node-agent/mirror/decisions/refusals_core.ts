/**
 * Why a change of state is refused: DRBD's numbers and texts.
 *
 * Users and scripts know them by heart (`State change failed: (-2) Need access
 * to UpToDate data`), so both are fixed. Source: `drbdsetup` of DRBD 8.4; the
 * numbers 0 to 2 mean success there and -3 is not used.
 *
 * @module
 */

import { STATE_REFUSALS } from "@kedge/schema/mirror/refusal-texts";

export { STATE_REFUSALS };

/** Number of a refused change of state. */
export type StateRefusal = keyof typeof STATE_REFUSALS;

/** The line that `drbdadm` shows, without the resource's name. */
export function describeRefusal(code: StateRefusal): string {
  return `State change failed: (${code}) ${STATE_REFUSALS[code]}`;
}

/**
 * Exit code of `drbdsetup` for a refused change: 17 where data is missing, 5
 * for "lower than outdated", 11 for everything else.
 */
export function exitCodeOfRefusal(code: StateRefusal): number {
  if (code === -2) return 17;
  return code === -16 ? 5 : 11;
}
