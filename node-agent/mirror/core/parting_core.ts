/**
 * Leaving the peer: by agreement, by force, or because it is of no use.
 *
 * Source: DRBD 8.4 (conn_try_disconnect), reference §2.7.
 *
 * @module
 */

import {
  compareDisk,
  isConnected,
  type MirrorState,
} from "../decisions/mirror_state.ts";
import type { VolumeCore } from "./volume_core.ts";
import type { CommandDone } from "./volume_types.ts";

/** A Primary would be left with a peer that may be promoted, too. */
const NEEDS_FENCING = -7;
/** The peer went before it answered. */
const NOT_ANSWERED = -21;

const BY_COMMAND = "Disconnecting";

/** See the module comment. */
export class Parting {
  /** Why this node is alone; undefined: by command, or nobody knows. */
  why: string | undefined;

  constructor(readonly volume: VolumeCore) {}

  /** Leave the peer alone. */
  disconnect(force: boolean, done: CommandDone): void {
    const { connection } = this.volume.state;
    if (connection === "StandAlone") return done({ code: 162 });
    if (force || !isConnected(connection)) {
      this.drop(BY_COMMAND);
      return done({ code: 1 });
    }
    this.#agree({}, done);
  }

  /** End the connection and stay alone. */
  drop(why: string, outdated: Partial<MirrorState> = {}): void {
    const { volume } = this;
    this.why = why === BY_COMMAND ? undefined : why;
    volume.effects.seekPeer(false);
    // Left by force while the peer was asked: what it may believe is true, too.
    if (!isConnected(volume.state.connection)) volume.change(outdated);
    const wasUp = volume.state.connection !== "WFConnection" &&
      volume.state.connection !== "Unconnected";
    volume.change({ connection: "Disconnecting", ...outdated });
    if (wasUp) {
      volume.effects.closeLink(why);
      volume.link.linkDown();
    }
    if (volume.state.connection === "Disconnecting") {
      volume.change({ connection: "StandAlone" });
    }
  }

  /**
   * Both agree to part. With a fencing policy one of two good copies is
   * outdated by that: the peer's, or ours when the peer is Primary.
   */
  #agree(
    outdated: Partial<Pick<MirrorState, "disk" | "peerDisk">>,
    done: CommandDone,
  ): void {
    const { volume } = this;
    const wish = { connection: "Disconnecting", ...outdated } as const;
    const isFirst = Object.keys(outdated).length === 0;
    const { refused } = volume.judge(wish);
    if (refused === NEEDS_FENCING && isFirst) {
      return this.#agree({ peerDisk: "Outdated" }, done);
    }
    if (refused !== undefined) return done({ code: refused });
    volume.link.agreement.ask(wish, (code) => {
      if (code === NEEDS_FENCING && isFirst) {
        return this.#agree({ disk: "Outdated" }, done);
      }
      if (code !== 1 && code !== NOT_ANSWERED) return done({ code });
      // Without an answer nothing is known of the peer's disk. Ours may have
      // gone meanwhile: it is no Outdated one then.
      const isKnown = outdated.disk === undefined
        ? code === 1
        : compareDisk(volume.state.disk, "Outdated") > 0;
      this.drop(BY_COMMAND, isKnown ? outdated : {});
      done({ code: 1 });
    });
  }
}
