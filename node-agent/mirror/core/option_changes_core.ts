/**
 * Options that change while the volume runs.
 *
 * Almost everything is read where it is used, so that a new value counts at
 * once. Two things take their time:
 *
 * - **To protocol A**: the peer must not believe that it has every answered
 *   write. It counts from the next connection on, whose greeting says so.
 * - **`al-extents`**: the log on disk is made anew when no extent is in use. For
 *   that new writes wait until those under way are stable, a moment at most;
 *   where that takes longer they go on, and it is tried again.
 *
 * @module
 */

import {
  compareConnection,
  type MirrorState,
} from "../decisions/mirror_state.ts";
import type { VolumeCore } from "./volume_core.ts";
import type { MirrorProtocol, VolumeConfig } from "./volume_types.ts";

/** How long writes may wait for a new activity log, in ms. */
const HOLD_MS_MAX = 1_000;
/** Pause between two attempts at it, in ms. */
const AGAIN_MS = 15_000;

/** See the module comment. */
export class OptionChanges {
  /** Writes wait: the activity log is about to be made anew. */
  isHolding = false;
  #laterProtocol: MirrorProtocol | undefined;
  #wantedExtents: number | undefined;
  #nextMs = 0;

  constructor(readonly volume: VolumeCore) {}

  /** Take new options; they were found possible (`changeProblem`). */
  take(next: VolumeConfig): void {
    const { volume } = this;
    const { config, state } = volume;
    const isLinked = compareConnection(state.connection, "WFReportParams") >= 0;
    const isLater = isLinked && next.protocol === "A" &&
      config.protocol !== "A";
    this.#laterProtocol = isLater ? next.protocol : undefined;
    if (config.protocol === "A" && next.protocol !== "A") {
      volume.disk.forgetStay(isLinked);
    }
    const { alExtents } = config;
    this.#wantedExtents = next.alExtents === alExtents
      ? undefined
      : next.alExtents;
    if (!this.isHolding) this.#nextMs = volume.nowMs;
    volume.config = {
      ...next,
      alExtents,
      protocol: isLater ? config.protocol : next.protocol,
    };
    if (this.#wantedExtents === undefined) this.#goOn(Infinity);
    else this.#renewLog();
    volume.writes.retry();
  }

  /** Go on with what waits. */
  tick(nowMs: number): void {
    if (this.#wantedExtents === undefined) return;
    if (this.isHolding && nowMs - this.#nextMs > HOLD_MS_MAX) {
      return this.#goOn(nowMs + AGAIN_MS);
    }
    if (nowMs >= this.#nextMs) this.#renewLog();
  }

  /** The end of a batch. */
  settle(): void {
    if (this.isHolding) this.#renewLog();
  }

  /** A connection that is gone takes the old protocol with it. */
  stateChanged({ connection }: MirrorState): void {
    const { volume } = this;
    const protocol = this.#laterProtocol;
    if (protocol === undefined) return;
    if (compareConnection(connection, "WFReportParams") >= 0) return;
    this.#laterProtocol = undefined;
    volume.config = { ...volume.config, protocol };
  }

  #renewLog(): void {
    const { volume } = this;
    const alExtents = this.#wantedExtents;
    if (alExtents === undefined) return;
    const { log, writes } = volume;
    const hasDisk = volume.bitmap !== undefined;
    if (hasDisk && (log.used > 0 || log.busy)) {
      this.isHolding = true;
      return writes.stabilise();
    }
    this.#wantedExtents = undefined;
    // What the old log would have said after a crash, the bitmap says.
    if (hasDisk && !volume.saveBitmap()) return this.#goOn(Infinity);
    volume.config = { ...volume.config, alExtents };
    log.resize(alExtents);
    if (hasDisk && !volume.effects.resetLog()) {
      volume.diskFailed("activity log");
    }
    this.#goOn(Infinity);
  }

  #goOn(nextMs: number): void {
    this.#nextMs = nextMs;
    this.isHolding = false;
    this.volume.writes.retry();
  }
}
