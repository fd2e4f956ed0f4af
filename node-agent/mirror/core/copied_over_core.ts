/**
 * A copy that is being replaced on a connection that stands, and what follows
 * for the volume register.
 *
 * Who is copied to is durably Inconsistent and takes every write from then on:
 * a write that is on both disks is on every member of the in-sync set, and
 * nothing makes a Primary of the target before it is whole. So such a write is
 * answered although the register has not made the set smaller. Between the first
 * word of the resync and that state writes are only marked: there an answer, and
 * so every new write, needs the smaller set.
 *
 * Source: promises.md R2 (shrink before an answer *without* the peer), I3, B10.
 *
 * @module
 */

import type { MirrorState } from "../decisions/mirror_state.ts";

/** The peer is copied to, and has every write that is answered. */
export function isPeerCopiedOver(state: MirrorState): boolean {
  const { connection, peerDisk } = state;
  const isSource = connection === "SyncSource" || connection === "PausedSyncS";
  return isSource && peerDisk === "Inconsistent";
}

/** We are copied to, and the peer, which is good, has every write. */
export function isCopiedOver(state: MirrorState): boolean {
  const { connection, disk, peerDisk } = state;
  const isTarget = connection === "SyncTarget" || connection === "PausedSyncT";
  return isTarget && disk === "Inconsistent" && peerDisk === "UpToDate";
}
