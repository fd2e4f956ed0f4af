/** How a volume is, in a few words. Pure. */

import type { VolumeStatus } from "@kedge/schema/mirror/control-api";
import { connectionWord } from "../drbdadm/nine_words.ts";

/** How a volume is. */
export interface Health {
  /** Nothing to do, and nothing at risk. */
  readonly isWell: boolean;
  /** A few words. */
  readonly words: string;
  /** What to do; `NAME` stands for the volume. */
  readonly next?: string;
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

const RESOLVE =
  '"kedge volume resolve NAME" tells what each side wrote, and the way out';

/** Say it. */
export function healthOf(volume: VolumeStatus): Health {
  const { state } = volume;
  const bad = (words: string, next?: string) => ({
    isWell: false,
    words,
    ...(next === undefined ? {} : { next }),
  });
  const frozen = frozenFor(volume);
  if (frozen !== undefined) return bad(...frozen);
  const { aloneWhy = "" } = volume;
  if (/split-brain/i.test(aloneWhy)) return bad("ALONE: split brain", RESOLVE);
  if (aloneWhy !== "") {
    return bad(
      "ALONE: the peer is not connected to",
      `${aloneWhy.replace(/[.!]$/, "")}; then "kedge volume connect NAME"`,
    );
  }
  if (looksSplit(volume)) return bad("ALONE: perhaps a split brain", RESOLVE);
  if (state.connection === "StandAlone") {
    return bad("alone, by command", '"kedge volume connect NAME"');
  }
  if (connectionWord(state) !== "Connected") {
    return bad(
      "waiting for the peer",
      'look there: "kedge volume status NAME"; the network between the hosts',
    );
  }
  const resync = RESYNCS[state.connection];
  if (resync !== undefined) return bad(resync);
  if (state.disk === "Diskless") {
    return bad(
      "no disk here, the peer serves",
      '"drbdadm attach NAME", when the disk is good again',
    );
  }
  if (state.peerDisk === "Diskless") {
    return bad("the peer has no disk", 'there: "drbdadm attach NAME"');
  }
  if (state.disk !== "UpToDate" || state.peerDisk !== "UpToDate") {
    return bad(`${state.disk} here, ${state.peerDisk} there`, firstNext(state));
  }
  return volume.outOfSyncBytes === 0 ? { isWell: true, words: "in sync" } : bad(
    "DIFFERENT: blocks are known not to be equal",
    'promote the host with the good data, if none is; there: "kedge volume ' +
      'disconnect NAME && kedge volume connect NAME" copies them to the other',
  );
}

/** I/O waits: for what, and what to do. */
function frozenFor(
  { state, aloneWhy, waitsForRegister }: VolumeStatus,
): [words: string, next: string] | undefined {
  if (state.suspendedFencing) {
    return [
      "FROZEN: the peer is gone, and not known to be fenced",
      'bring the peer back, or see why the handler fence-peer failed; "drbdadm ' +
      'resume-io NAME" goes on without it, if it is surely off',
    ];
  }
  if (state.suspendedNoData && aloneWhy !== undefined) {
    return [
      "FROZEN: no good copy is in reach",
      `${aloneWhy}. To go on with what the peer has: "drbdadm resume-io NAME" ` +
      '(what waits fails), unmount, "kedge volume demote NAME && kedge volume ' +
      'connect NAME"',
    ];
  }
  if (state.suspendedNoData) {
    return [
      "FROZEN: no good copy is in reach",
      'bring the peer back; "drbdadm resume-io NAME" fails what waits',
    ];
  }
  if (state.suspendedByUser) {
    return ["frozen by suspend-io", '"drbdadm resume-io NAME"'];
  }
  return waitsForRegister !== true ? undefined : [
    "FROZEN: writes wait for the volume register",
    "bring a tracker or the peer back; the log says why it is not reached",
  ];
}

/** Neither copy was ever named as the good one. */
function firstNext({ disk, peerDisk }: VolumeStatus["state"]) {
  return disk === "Inconsistent" && peerDisk === "Inconsistent"
    ? '"kedge volume promote NAME --force" on the host whose data counts'
    : undefined;
}

/** Stands alone, and remembers a generation that the peer had: both may differ. */
export function looksSplit({ state, generations }: VolumeStatus): boolean {
  const bitmap = generations?.[1];
  return state.connection === "StandAlone" && bitmap !== undefined &&
    /[1-9A-Fa-f]/.test(bitmap.replace(/^0x/, ""));
}
