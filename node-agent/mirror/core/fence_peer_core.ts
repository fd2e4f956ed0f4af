/**
 * The handler `fence-peer`: who asks for it, and what its answer means.
 *
 * An answer counts for the loss of the peer that it was asked for. When the peer
 * was connected since, nothing follows from it: that handler saw a peer of
 * before. A loss that comes while it still runs has a call of its own.
 *
 * Source: DRBD 8.4, reference §2.9; connect_cnt in drbd_nl.c.
 *
 * @module
 */

import { isConnected, type MirrorState } from "../decisions/mirror_state.ts";
import type { VolumeCore } from "./volume_core.ts";

/** Called once: whether the peer serves nobody. */
type Fenced = (isFenced: boolean) => void;

/** A handler that runs, and who waits for it. */
interface Call {
  readonly waiting: Fenced[];
}

/** See the module comment. */
export class FencePeer {
  /** The call for the loss of the peer that is now. */
  #call: Call | undefined;

  constructor(readonly volume: VolumeCore) {}

  /** Ask the handler to outdate the peer; once for all who wait. */
  ask(next: Fenced): void {
    if (this.#call !== undefined) {
      this.#call.waiting.push(next);
      return;
    }
    const call: Call = { waiting: [next] };
    this.#call = call;
    const ended = (exitCode: number) => this.#ended(call, exitCode);
    this.volume.handlers.run("fence-peer", ended);
  }

  /** A call that still runs is of no use once the peer is here. */
  stateChanged(after: MirrorState): void {
    if (isConnected(after.connection)) this.#call = undefined;
  }

  #ended(call: Call, exitCode: number): void {
    const { volume } = this;
    const counts = this.#call === call;
    if (counts) this.#call = undefined;
    else volume.effects.log("info", "Ignoring fence-peer exit code");
    const isFenced = counts
      ? this.#isFenced(exitCode)
      : isConnected(volume.state.connection);
    if (isFenced) volume.roles.promotion.fenced();
    // Whoever wants to be Primary is judged anew, and asks again.
    for (const next of call.waiting) next(isFenced);
  }

  /** Not those of a node that was down, and has not seen its peer yet. */
  #knowsItsData(): boolean {
    const { role, disk } = this.volume.state;
    return role === "Primary" || disk === "UpToDate";
  }

  /** Data that are whole, and may have been old, are the best there are. */
  #peerIsWorse(peerDisk: "Inconsistent" | "Outdated"): void {
    const isBest = this.volume.state.disk === "Consistent";
    this.volume.change({
      peerDisk,
      suspendedFencing: false,
      ...(isBest ? { disk: "UpToDate" } : {}),
    });
  }

  /** Reference §2.9: what the exit code means. */
  #isFenced(exitCode: number): boolean {
    const { volume } = this;
    switch (exitCode) {
      case 3:
        this.#peerIsWorse("Inconsistent");
        return true;
      case 5:
        if (volume.state.disk !== "UpToDate") return false;
        volume.change({ peerDisk: "Outdated", suspendedFencing: false });
        return true;
      case 7:
        // Switched off, whatever it had: data of ours that may be old are not
        // made good by that, also not at the next attach.
        if (!this.#knowsItsData()) return false;
        volume.change({ peerDisk: "Outdated", suspendedFencing: false });
        return true;
      case 4:
        this.#peerIsWorse("Outdated");
        return true;
      case 6:
        volume.roles.outdate(() => {});
        return false;
      default:
        volume.effects.log(
          "error",
          `fence-peer helper broken, returned ${exitCode}`,
        );
        return false;
    }
  }
}
