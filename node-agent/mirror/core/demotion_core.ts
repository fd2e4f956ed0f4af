/**
 * Becoming Secondary: nobody waits for an answer, and what was answered is
 * stable.
 *
 * Source: DRBD 8.4, reference §2.7.
 *
 * @module
 */

import { isSuspended, type MirrorState } from "../decisions/mirror_state.ts";
import type { VolumeCore } from "./volume_core.ts";
import type { CommandDone, CommandResult } from "./volume_types.ts";

/** See the module comment. */
export class Demotion {
  /** New writes are held: the last flush of a Primary runs. */
  isRunning = false;

  constructor(readonly volume: VolumeCore) {}

  /** Become Secondary. */
  demote(done: CommandDone): void {
    const { volume } = this;
    if (volume.state.role === "Secondary") return done({ code: 1 });
    const refused = volume.judge({ role: "Secondary" }).refused;
    if (refused !== undefined) return done({ code: refused });
    if (!volume.writes.isIdle) return done(heldOpen(volume.state));
    this.isRunning = true; // a write behind this flush would not be stable
    this.#lastFlush((ok) => {
      this.isRunning = false;
      if (!ok) volume.effects.log("warn", "Demoting without a last flush");
      volume.saveBitmap();
      const code = volume.wish({ role: "Secondary" }) ?? 1;
      if (code === 1) volume.fence.demoted();
      else volume.writes.retry();
      done({ code });
    });
  }

  /**
   * Of both disks. While I/O is frozen such a flush is not answered, so it would
   * be waited for until a person lets I/O go on: then of ours only.
   */
  #lastFlush(done: (ok: boolean) => void): void {
    const { volume } = this;
    if (!isSuspended(volume.state)) return volume.writes.flush(done);
    if (volume.hasLocalDisk) volume.flusher.request(done);
    else done(true);
  }
}

/** Somebody waits for an answer. */
function heldOpen(state: MirrorState): CommandResult {
  if (!isSuspended(state)) return { code: -12 };
  const why = "I/O is frozen, and somebody waits for an answer: " +
    '"drbdadm resume-io" lets it go on';
  return { code: -12, why };
}
