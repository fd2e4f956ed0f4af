/**
 * Why a change of state is refused: DRBD's numbers and texts.
 *
 * Users and scripts know them by heart (`State change failed: (-2) Need access
 * to UpToDate data`), so both are fixed. Source: `drbdsetup` of DRBD 8.4; the
 * numbers 0 to 2 mean success there and -3 is not used.
 *
 * @module
 */

/** Text by number, for `State change failed: (N) TEXT`. */
export const STATE_REFUSALS = {
  [-1]: "Multiple primaries not allowed by config",
  [-2]: "Need access to UpToDate data",
  [-4]: "Can not resync without local disk",
  [-5]: "Can not resync without remote disk",
  [-6]: "Refusing to be Outdated while Connected",
  [-7]: "Refusing to be Primary while peer is not outdated",
  [-8]: "Can not start OV/resync since it is already active",
  [-9]: "Can not disconnect a StandAlone device",
  [-10]: "State change was refused by peer node",
  [-11]: "Device is diskless, the requested operation requires a disk",
  [-12]: "Device is held open by someone",
  [-13]: "Have no net/connection configuration",
  [-14]: "Need a verify algorithm to start online verify",
  [-15]: "Need a connection to start verify or resync",
  [-16]: "Disk state is lower than outdated",
  [-17]: "Peer does not support protocol",
  [-18]: "In transient state, retry after next state change",
  [-19]: "Concurrent state changes detected and aborted",
  [-20]: "Other vol primary on peer not allowed by config",
  [-21]: "Need a connection for a graceful disconnect/outdate peer",
} as const;

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
