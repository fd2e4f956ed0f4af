/**
 * Letting the disk go on request. The peer has a say, and remembers what it
 * agreed to until the disk is gone: so two that let theirs go at once, or a
 * promotion in between, do not leave a Primary without data. A forced one asks
 * nobody.
 *
 * Source: DRBD 8.4, reference §2.6 and §2.7 (detach).
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

/** Nobody with current data would be left. */
const NEEDS_DATA = -2;
/** Both asked at once: the other one goes first. */
const CONCURRENT = -19;
/** The connection went away before the peer answered. */
const NOT_ANSWERED = -21;
/** How often the peer is asked when both ask at once. */
const TRIES = 4;
/**
 * How often a flush is waited for, while more that is to be in order comes from
 * the peer. After that it is not waited for, and the disk lacks something.
 */
const FLUSHES_MAX = 10;

/** See the module comment. */
export class Detachment {
  /** Our disk goes as soon as it is stable. */
  #isLeaving = false;
  /** We agreed that the peer's disk goes, and it has not told yet. */
  #peerLeaves = false;

  constructor(readonly volume: VolumeCore) {}

  /** Let the disk go. */
  start(force: boolean, done: CommandDone): void {
    const { volume } = this;
    if (volume.state.disk === "Diskless") return done({ code: 1 });
    if (!force) return this.#ask(TRIES, done);
    const { refused } = volume.judge({ disk: "Failed" }, true);
    if (refused !== undefined) return done({ code: refused });
    volume.disk.letGo(false);
    done({ code: 1 });
  }

  /** The peer asks whether its disk may go. */
  peerAsks(): number {
    const { volume } = this;
    const code = volume.judge(this.foreseen({ peerDisk: "Failed" })).refused;
    if (code !== undefined) return code;
    this.#peerLeaves = true;
    return 1;
  }

  /** A wish, with what is agreed already added. */
  foreseen(wish: Partial<MirrorState>): Partial<MirrorState> {
    return {
      ...wish,
      ...(this.#isLeaving ? { disk: "Failed" } : {}),
      ...(this.#peerLeaves ? { peerDisk: "Failed" } : {}),
    };
  }

  /** What follows from a change of state. */
  stateChanged({ connection, peerDisk }: MirrorState): void {
    const isGone = compareDisk(peerDisk, "Failed") <= 0;
    if (isGone || !isConnected(connection)) this.#peerLeaves = false;
  }

  /** While the connection stands the peer has a say. */
  #ask(tries: number, done: CommandDone): void {
    const { volume } = this;
    const refused = this.#refused();
    if (refused !== undefined) return done({ code: refused });
    if (!isConnected(volume.state.connection)) return this.#flush(done);
    volume.link.agreement.ask({ letsDiskGo: true }, (code) => {
      const isLater = code === CONCURRENT && tries > 1;
      // Without the peer our own rules decide alone.
      if (isLater || code === NOT_ANSWERED) return this.#ask(tries - 1, done);
      if (code !== 1) return done({ code });
      this.#flush(done);
    });
  }

  #refused(): number | undefined {
    const { volume } = this;
    const { connection, disk, peerRole, peerDisk } = volume.state;
    // The peer is Primary and works on our copy: it would refuse.
    const isPeersOnlyData = isConnected(connection) && disk === "UpToDate" &&
      peerRole === "Primary" && (peerDisk !== "UpToDate" || this.#peerLeaves);
    if (isPeersOnlyData) return NEEDS_DATA;
    return volume.judge(this.foreseen({ disk: "Failed" })).refused;
  }

  /** What the peer sent may be answered already, and in our memory only. */
  #flush(done: CommandDone, left = FLUSHES_MAX): void {
    const { volume } = this;
    if (volume.state.disk === "Diskless") return done({ code: 1 });
    this.#isLeaving = true;
    volume.flusher.request((stable) => {
      this.#isLeaving = false;
      if (!stable) return done({ code: 118 });
      const { isDrained } = volume.replica;
      if (!isDrained && left > 1) return this.#flush(done, left - 1);
      const isClean = isDrained && volume.writes.transfers.unstableWrites === 0;
      volume.disk.letGo(volume.saveBitmap() && isClean);
      done({ code: 1 });
    });
  }
}
