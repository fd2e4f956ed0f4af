/** How a volume is, in a few words. Pure. */

import type { VolumeStatus } from "@kedge/schema/mirror/control-api";
import { connectionWord } from "../drbdadm/nine_words.ts";

/** How a volume is. */
export interface Health {
  /** Nothing to do, and nothing at risk. */
  readonly isWell: boolean;
  /** A few words. */
  readonly words: string;
}

/** Who sends and who receives, by state of the connection. */
const RESYNCS: Readonly<Record<string, string>> = {
  SyncSource: "resync to the peer",
  SyncTarget: "resync from the peer",
  PausedSyncS: "resync to the peer, paused",
  PausedSyncT: "resync from the peer, paused",
  VerifyS: "comparing with the peer",
  VerifyT: "comparing with the peer",
  Ahead: "ahead of the peer: the line is full",
  Behind: "behind the peer: the line is full",
};

/** Say it. */
export function healthOf(volume: VolumeStatus): Health {
  const { state } = volume;
  const bad = (words: string) => ({ isWell: false, words });
  const isFrozen = state.suspendedNoData || state.suspendedFencing;
  if (isFrozen) return bad("FROZEN: no good copy is in reach");
  if (state.suspendedByUser) return bad("frozen by suspend-io");
  if (looksSplit(volume)) return bad("ALONE: perhaps a split brain");
  if (state.connection === "StandAlone") return bad("alone, by command");
  if (connectionWord(state) !== "Connected") {
    return bad("waiting for the peer");
  }
  const resync = RESYNCS[state.connection];
  if (resync !== undefined) return { isWell: false, words: resync };
  if (state.disk === "Diskless") return bad("no disk here, the peer serves");
  if (state.peerDisk === "Diskless") return bad("the peer has no disk");
  return state.disk === "UpToDate" && state.peerDisk === "UpToDate"
    ? { isWell: true, words: "in sync" }
    : bad(`${state.disk} here, ${state.peerDisk} there`);
}

/** Stands alone, and remembers a generation that the peer had: both may differ. */
export function looksSplit({ state, generations }: VolumeStatus): boolean {
  const bitmap = generations?.[1];
  return state.connection === "StandAlone" && bitmap !== undefined &&
    /[1-9A-Fa-f]/.test(bitmap.replace(/^0x/, ""));
}
