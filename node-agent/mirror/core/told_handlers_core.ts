/**
 * Handlers that are only told what has happened: nobody waits for them, and
 * what they exit with changes nothing.
 *
 * Source: DRBD 8.4, reference §1, §2.8, §2.9.
 *
 * @module
 */

import type { MirrorState } from "../decisions/mirror_state.ts";
import type { VolumeCore } from "./volume_core.ts";

/** The state changed: call whoever is to know. */
export function tellHandlers(
  volume: VolumeCore,
  before: MirrorState,
  after: MirrorState,
): void {
  const { handlers, fencing } = volume.config;
  const tell = (handler: string) => {
    if (handlers.has(handler)) volume.effects.runHelper(handler, 0);
  };
  const isGone = hasData(before) && !hasData(after);
  if (after.role === "Primary" && isGone) tell("pri-on-incon-degr");
  if (after.connection !== "Connected") return;
  switch (before.connection) {
    case "SyncTarget":
      if (after.disk === "UpToDate") tell("after-resync-target");
      break;
    case "SyncSource":
      if (after.peerDisk !== "UpToDate" || fencing === "dont-care") break;
      tell("unfence-peer");
      break;
    case "VerifyT":
      // Who asks (VerifyS) knows itself whether anything differs.
      if ((volume.bitmap?.count ?? 0) > 0) tell("out-of-sync");
  }
}

function hasData({ disk, peerDisk }: MirrorState): boolean {
  return disk === "UpToDate" || peerDisk === "UpToDate";
}
