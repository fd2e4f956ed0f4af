/**
 * How long `wait-*` waits: DRBD's three timeouts, of which the later ones may
 * not be longer than those before them.
 *
 * Source: drbdsetup of 8.4 (its texts), reference of DRBD §6.3.
 *
 * @module
 */

/** Timeouts of `startup { … }` in milliseconds; 0 is for ever. */
export interface WaitTimes {
  readonly wfcMs: number;
  readonly degrMs: number;
  readonly outdatedMs: number;
}

/** What is waited for, as far as it sets the time. */
export interface LeftPeer {
  readonly wasAway: boolean;
  readonly isOutdated: boolean;
}

/**
 * How long to wait, in milliseconds; infinite for ever.
 *
 * @returns Also DRBD's lines where one timeout was cut to another.
 */
export function patienceOf(
  { wfcMs, degrMs, outdatedMs }: WaitTimes,
  peer: LeftPeer,
): { readonly ms: number; readonly warnings: readonly string[] } {
  const warnings: string[] = [];
  const wfc = forEver(wfcMs);
  const degr = Math.min(forEver(degrMs), wfc);
  if (degr !== forEver(degrMs)) {
    warnings.push(...cut("degr-wfc-timeout", "wfc-timeout", degr));
  }
  const outdated = Math.min(forEver(outdatedMs), degr);
  if (outdated !== forEver(outdatedMs)) {
    warnings.push(...cut("outdated-wfc-timeout", "degr-wfc-timeout", outdated));
  }
  const ms = peer.isOutdated ? outdated : peer.wasAway ? degr : wfc;
  return { ms, warnings };
}

function forEver(ms: number): number {
  return ms === 0 ? Infinity : ms;
}

function cut(name: string, limit: string, ms: number): string[] {
  return [
    `${name} has to be shorter than ${limit}`,
    `${name} implicitly set to ${limit} (${ms / 1000}s)`,
  ];
}
