/**
 * Becoming Secondary: nobody waits for an answer, and what was answered is
 * stable.
 *
 * Source: DRBD 8.4, reference §2.7.
 *
 * @module
 */

import { isSuspended } from "../decisions/mirror_state.ts";
import type { VolumeCore } from "./volume_core.ts";
import type { CommandDone, CommandResult } from "./volume_types.ts";

/** The register could not be asked. */
const NOT_DECIDED = -10;
/** How long the register may keep the last flush from being answered, in ms. */
const REGISTER_MS_MAX = 30_000;

/** Called once: whether the last flush was made; undefined: it is given up. */
type Flushed = (ok: boolean | undefined) => void;

/** See the module comment. */
export class Demotion {
  /** New writes are held: the last flush of a Primary runs. */
  isRunning = false;
  /** Somebody waits for a flush of both disks. */
  #waiting: Flushed | undefined;
  #sinceMs = 0;

  constructor(readonly volume: VolumeCore) {}

  /** Become Secondary. */
  demote(done: CommandDone): void {
    const { volume } = this;
    if (volume.state.role === "Secondary") return done({ code: 1 });
    const refused = volume.judge({ role: "Secondary" }).refused;
    if (refused !== undefined) return done({ code: refused });
    if (!volume.writes.isIdle) return done(heldOpen(volume));
    this.isRunning = true; // a write behind this flush would not be stable
    this.#lastFlush((ok) => {
      this.isRunning = false;
      const code = ok === undefined ? NOT_DECIDED : this.#leave(ok);
      if (code !== 1) volume.writes.retry();
      done(ok === undefined ? { code, why: NO_REGISTER } : { code });
    });
  }

  /** What froze since is not waited for. */
  tick(nowMs: number): void {
    const { volume } = this;
    const done = this.#waiting;
    if (done === undefined) return;
    if (volume.fence.mayAnswer()) this.#sinceMs = nowMs;
    if (isSuspended(volume.state)) {
      this.#waiting = undefined;
      this.#flushOurs(done);
    } else if (nowMs - this.#sinceMs > REGISTER_MS_MAX) {
      this.#waiting = undefined;
      done(undefined);
    }
  }

  #leave(isFlushed: boolean): number {
    const { volume } = this;
    if (!isFlushed) volume.effects.log("warn", "Demoting without a last flush");
    volume.saveBitmap();
    const code = volume.wish({ role: "Secondary" }) ?? 1;
    if (code !== 1) return code;
    volume.fence.demoted();
    // What came meanwhile would be held until a later role, and be made then.
    if (isSuspended(volume.state)) volume.writes.failAll();
    return code;
  }

  /**
   * Of both disks. While I/O is frozen such a flush is not answered, so it would
   * be waited for until a person lets I/O go on: then of ours only.
   */
  #lastFlush(done: Flushed): void {
    const { volume } = this;
    if (isSuspended(volume.state)) return this.#flushOurs(done);
    this.#sinceMs = volume.nowMs;
    this.#waiting = done;
    volume.writes.flush((ok) => {
      if (this.#waiting !== done) return; // it was not waited for
      this.#waiting = undefined;
      done(ok);
    });
  }

  #flushOurs(done: Flushed): void {
    const { volume } = this;
    if (volume.hasLocalDisk) volume.flusher.request(done);
    else done(true);
  }
}

const NO_REGISTER =
  "I/O waits for the volume register, which does not answer: " +
  'see "kedge volume status"';

/** Somebody waits for an answer. */
function heldOpen({ state, fence }: VolumeCore): CommandResult {
  if (isSuspended(state)) {
    const why = "I/O is frozen, and somebody waits for an answer: " +
      '"drbdadm resume-io" lets it go on';
    return { code: -12, why };
  }
  return fence.mayAnswer() ? { code: -12 } : { code: -12, why: NO_REGISTER };
}
