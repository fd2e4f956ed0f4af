/**
 * A copy that is being replaced on a connection that stands, and what follows
 * for the volume register.
 *
 * Who is copied to is durably Inconsistent and takes every write: it lacks
 * nothing that is answered, and nothing makes a Primary of it before it is whole,
 * also where the register still has it in the in-sync set. Between the first word
 * of such a resync and that state writes are only marked: there an answer needs
 * the smaller set.
 *
 * Source: promises.md R2 (shrink before an answer *without* the peer), B10.
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
