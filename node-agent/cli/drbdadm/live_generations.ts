/** `get-gi` of a volume that runs. Pure. */

import type { VolumeStatus } from "@kedge/schema/mirror/control-api";
import { connectionWord } from "./nine_words.ts";

/** Disk states with data that is consistent in itself. */
const CONSISTENT = ["Outdated", "Consistent", "UpToDate"];
/** Disk states that are better than Outdated. */
const UP_TO_DATE = ["Consistent", "UpToDate"];
/** States of a peer's disk that must not become ours. */
const PEER_OLD = ["Inconsistent", "Outdated"];

/**
 * `CURRENT:BITMAP:YOUNGER:OLDER:` and seven flags: consistent, up to date,
 * Primary, connected, full sync, peer outdated, crashed.
 */
export function liveGenerations({ generations, state }: VolumeStatus): string {
  const flags = [
    CONSISTENT.includes(state.disk),
    UP_TO_DATE.includes(state.disk),
    state.role === "Primary",
    connectionWord(state) === "Connected",
    false,
    PEER_OLD.includes(state.peerDisk),
    false,
  ];
  const uuids = (generations ?? []).map((each) =>
    each.replace(/^0x/, "").toUpperCase().padStart(16, "0")
  );
  return [...uuids, ...flags.map(Number)].join(":");
}
