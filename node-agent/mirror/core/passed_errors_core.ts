/**
 * What `on-io-error` says beside `detach`.
 *
 * `call-local-io-error`: the handler runs, then the disk is let go.
 *
 * `pass_on`: the disk of a Primary stays although a read or a write failed on
 * it. Beside a good copy it is Inconsistent from then on, and the application goes
 * on with the peer's data. The only good copy stays good: the error goes to the
 * application, and what a target of ours has of that write is settled anew.
 *
 * Source: DRBD 8.4, reference §1, §2.8 (on-io-error).
 *
 * @module
 */

import { isConnected } from "../decisions/mirror_state.ts";
import type { VolumeCore } from "./volume_core.ts";

/** Where something failed. */
export interface PassedError {
  readonly what: string;
  readonly offset: number;
  readonly lengthBytes: number;
}

/** See the module comment. */
export function passOn(
  volume: VolumeCore,
  { what, offset, lengthBytes }: PassedError,
): void {
  const { connection, disk, peerDisk } = volume.state;
  if (!isConnected(connection) || peerDisk !== "UpToDate") {
    if (what === "write") volume.source.lacks(offset, lengthBytes);
    return;
  }
  volume.bitmap?.set(offset, lengthBytes);
  volume.target.lacks(offset, lengthBytes);
  if (!volume.saveBitmapOf(offset, lengthBytes)) return;
  if (disk !== "UpToDate") return;
  volume.disk.lacksData();
  // While it is compared the state table would call it good all the same.
  const isCompared = connection === "VerifyS" || connection === "VerifyT";
  const ended = isCompared ? { connection: "Connected" } as const : {};
  volume.change({ disk: "Inconsistent", ...ended });
}

/** The disk is about to be let go because it failed. */
export function callHandler({ config, effects }: VolumeCore): void {
  if (config.onIoError !== "call-local-io-error") return;
  if (!config.handlers.has("local-io-error")) return;
  effects.runHelper("local-io-error", 0);
}
