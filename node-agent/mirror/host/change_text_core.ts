/**
 * A change of state in the words of the kernel log of DRBD 8.4:
 * `role( Secondary -> Primary ) disk( Inconsistent -> UpToDate )`. Pure.
 *
 * @module
 */

import type { MirrorState } from "../decisions/mirror_state.ts";

const WORDS = [
  ["role", "role"],
  ["peer", "peerRole"],
  ["conn", "connection"],
  ["disk", "disk"],
  ["pdsk", "peerDisk"],
  ["susp", "suspendedByUser"],
  ["susp_nod", "suspendedNoData"],
  ["susp_fen", "suspendedFencing"],
  ["aftr_isp", "pausedByDependency"],
  ["peer_isp", "pausedByPeer"],
  ["user_isp", "pausedByUser"],
] as const satisfies readonly (readonly [string, keyof MirrorState])[];

/** What changed, in one line; "" when nothing did. */
export function changeText(before: MirrorState, after: MirrorState): string {
  return WORDS
    .filter(([, key]) => before[key] !== after[key])
    .map(([word, key]) =>
      `${word}( ${said(before[key])} -> ${said(after[key])} )`
    )
    .join(" ");
}

function said(value: string | boolean): string {
  return typeof value === "string" ? value : value ? "1" : "0";
}
