/**
 * What people ask of a volume: roles, connections, pauses, and the handlers
 * that belong to them. Each command answers once with DRBD's code.
 *
 * Source: DRBD 8.4, reference §2.7 and §2.9.
 *
 * @module
 */

import type { StateWish } from "@kedge/schema/wire/mirror";
import {
  compareDisk,
  isConnected,
  type MirrorState,
} from "../decisions/mirror_state.ts";
import {
  formatGeneration,
  JUST_CREATED,
} from "../decisions/generations_core.ts";
import { skipInitialSync } from "../decisions/uuid_core.ts";
import { Demotion } from "./demotion_core.ts";
import { hasSource } from "./disk_worth_core.ts";
import { FencePeer } from "./fence_peer_core.ts";
import { netProblem } from "./option_problems_core.ts";
import { Parting } from "./parting_core.ts";
import { transferRefusal } from "./peer_agreement_core.ts";
import { Promotion } from "./promotion_core.ts";
import { tellHandlers } from "./told_handlers_core.ts";
import type { VolumeCore } from "./volume_core.ts";
import type { CommandDone } from "./volume_types.ts";

/** How often `primary` is tried while the state is in transition. */
const PROMOTE_TRIES = 4;
/** See the module comment. */
export class Roles {
  /** Somebody holds the device open. */
  isOpen = false;
  #whenDrained: (() => void)[] = [];

  readonly promotion: Promotion;
  readonly demotion: Demotion;
  readonly parting: Parting;
  readonly fencing: FencePeer;

  constructor(readonly volume: VolumeCore) {
    this.promotion = new Promotion(volume);
    this.demotion = new Demotion(volume);
    this.parting = new Parting(volume);
    this.fencing = new FencePeer(volume);
  }

  /** Become Primary. */
  primary(force: boolean, done: CommandDone): void {
    this.whenQuiet(() => this.promotion.promote(force, PROMOTE_TRIES, done));
  }

  /** Become Secondary. */
  secondary(done: CommandDone): void {
    this.demotion.demote(done);
  }

  /** Look for the peer. */
  connect(
    options: { readonly discardMyData: boolean; readonly tentative: boolean },
    done: CommandDone,
  ): void {
    const { volume } = this;
    if (volume.state.connection !== "StandAlone") return done({ code: 125 });
    const problem = netProblem(volume.config);
    if (problem !== undefined) return done({ code: problem });
    if (options.discardMyData && volume.state.role === "Primary") {
      return done({ code: 123 });
    }
    this.parting.why = undefined;
    volume.link.discardMyData = options.discardMyData;
    volume.link.tentative = options.tentative;
    volume.change({ connection: "Unconnected" });
    if (!volume.flusher.isRunning) volume.link.meetAgain();
    done({ code: 1 });
  }

  /** Leave the peer alone. */
  disconnect(force: boolean, done: CommandDone): void {
    this.parting.disconnect(force, done);
  }

  /** End the connection and stay alone. */
  dropConnection(why: string): void {
    this.parting.drop(why);
  }

  /** Throw our data away and copy the peer's. */
  invalidate(done: CommandDone): void {
    const { volume } = this;
    const { connection, role } = volume.state;
    if (isConnected(connection)) {
      return this.#agree(
        { connection: "StartingSyncT" },
        done,
        () => this.beginAsTarget(),
      );
    }
    if (role === "Primary" || connection !== "StandAlone") {
      return done({ code: -15 });
    }
    const code = volume.wish({ disk: "Inconsistent" }) ?? 1;
    if (code === 1) {
      volume.bitmap?.setAll();
      volume.saveBitmap();
    }
    done({ code });
  }

  /** Copy our data over the peer's. */
  invalidateRemote(done: CommandDone): void {
    const { volume } = this;
    if (isConnected(volume.state.connection)) {
      return this.#agree(
        { connection: "StartingSyncS" },
        done,
        () => this.beginAsSource(),
      );
    }
    if (volume.state.role !== "Primary") return done({ code: -15 });
    volume.bitmap?.setAll();
    volume.saveBitmap();
    volume.change({ peerDisk: "Inconsistent" });
    done({ code: 1 });
  }

  /** Copy what is out of sync already, from us or to us. */
  syncMarked(fromHere: boolean, done: CommandDone): void {
    const connection = fromHere ? "StartingSyncS" : "StartingSyncT";
    this.#agree({ connection, onlyMarked: true }, done, () => {
      if (fromHere) this.beginAsSource(true);
      else this.beginAsTarget(true);
    });
  }

  /** Both agreed: everything is copied to us, or what is marked. */
  beginAsTarget(onlyMarked = false): void {
    const { volume } = this;
    if (!onlyMarked) volume.bitmap?.setAll();
    if (!volume.saveBitmap()) return;
    volume.change({ connection: "StartingSyncT" });
    volume.change({ connection: "WFBitMapT" });
    volume.link.bitmaps.send();
  }

  /** Both agreed: everything is copied from us, or what is marked. */
  beginAsSource(onlyMarked = false): void {
    const { volume } = this;
    if (!onlyMarked) volume.bitmap?.setAll();
    if (!volume.saveBitmap()) return;
    volume.source.offered();
    volume.change({ connection: "StartingSyncS" });
    volume.change({ connection: "WFBitMapS" });
  }

  /** Mark our data as old. */
  outdate(done: CommandDone): void {
    done({ code: this.#outdated() });
  }

  /** The state table alone would make Inconsistent data UpToDate. */
  #outdated(): number {
    const { volume } = this;
    if (compareDisk(volume.state.disk, "Outdated") < 0) return -16;
    if (isConnected(volume.state.connection)) return -6;
    // The peer is behind: without ours nobody has current data. Its handler
    // takes this answer as that of a Primary.
    if (volume.state.disk === "UpToDate" && isBehind(volume.state)) return -2;
    // So it is where only we know of it, as nobody could be told.
    // A disk that failed since has it all the same.
    if (volume.state.disk !== "UpToDate" && volume.generations.isAhead) {
      return -2;
    }
    return volume.wish({ disk: "Outdated" }) ?? 1;
  }

  /** Pause a resync, now or when it begins. */
  pauseSync(done: CommandDone): void {
    if (this.volume.state.pausedByUser) return done({ code: 134 });
    done({ code: this.volume.wish({ pausedByUser: true }) ?? 1 });
  }

  /** Take our pause back. */
  resumeSync(done: CommandDone): void {
    const { volume } = this;
    if (!volume.state.pausedByUser) return done({ code: 135 });
    const code = volume.wish({ pausedByUser: false }) ?? 1;
    if (code !== 1) return done({ code });
    if (volume.state.pausedByDependency) return done({ code: 156 });
    done({ code: volume.state.pausedByPeer ? 157 : 1 });
  }

  /** Freeze application I/O. */
  suspendIo(done: CommandDone): void {
    done({ code: this.volume.wish({ suspendedByUser: true }) ?? 1 });
  }

  /** Let application I/O go on. */
  resumeIo(done: CommandDone): void {
    const { volume } = this;
    volume.change({
      suspendedByUser: false,
      suspendedNoData: false,
      suspendedFencing: false,
    });
    done({ code: 1 });
  }

  /** End a `suspend-io`; what is frozen for another reason stays so. */
  thaw(done: CommandDone): void {
    const { volume } = this;
    volume.change({ suspendedByUser: false });
    volume.writes.retry();
    done({ code: 1 });
  }

  /** A new generation; with `clearBitmap` on both of a just-created pair. */
  newCurrentUuid(clearBitmap: boolean, done: CommandDone): void {
    const { volume } = this;
    if (clearBitmap) return this.#skipInitialSync(done);
    if (volume.state.connection !== "StandAlone") return done({ code: 151 });
    done({ code: volume.generations.begin() ? 1 : 118 });
  }

  /** Do something once the receive buffer is applied. */
  whenQuiet(next: () => void): void {
    if (this.volume.replica.isDrained) next();
    else this.#whenDrained.push(next);
  }

  /** The receive buffer is applied (promises.md R9). */
  drained(): void {
    if (!this.volume.replica.isDrained) return;
    const waiting = this.#whenDrained;
    this.#whenDrained = [];
    for (const next of waiting) next();
  }

  /** What follows from a change of state for people and handlers. */
  stateChanged(before: MirrorState, after: MirrorState): void {
    const { volume } = this;
    const { handlers, fencing } = volume.config;
    if (volume.state.suspendedNoData && volume.canReachData()) {
      volume.change({ suspendedNoData: false });
    }
    // Whatever the handler said: the peer itself is here.
    const isBack = !isConnected(before.connection) &&
      isConnected(after.connection);
    if (isBack && volume.state.suspendedFencing) {
      volume.change({ suspendedFencing: false });
    }
    this.fencing.stateChanged(after);
    this.promotion.stateChanged(before, after);
    const hasMoved = before.peerRole !== after.peerRole ||
      before.connection !== after.connection;
    if (hasMoved) this.promotion.peerMoved(() => true);
    const lostPeer = after.role === "Primary" &&
      isConnected(before.connection) && !isConnected(after.connection) &&
      compareDisk(after.peerDisk, "Outdated") > 0;
    if (lostPeer && fencing !== "dont-care" && handlers.has("fence-peer")) {
      this.fencing.ask(() => {});
    }
    tellHandlers(volume, before, after);
  }

  #agree(wish: StateWish, done: CommandDone, begin: () => void): void {
    const { volume } = this;
    const connection = wish.connection === "StartingSyncS"
      ? "StartingSyncS"
      : "StartingSyncT";
    const refused = volume.judge({ connection }).refused;
    if (refused !== undefined) return done({ code: refused });
    if (!hasSource(volume.state, connection)) return done({ code: -2 });
    volume.link.agreement.ask(wish, (code) => {
      if (code === 1) begin();
      done(transferRefusal(code));
    });
  }

  /** Two new volumes are declared equal; alone, only our bitmap is cleared. */
  #skipInitialSync(done: CommandDone): void {
    const { volume } = this;
    const { connection } = volume.state;
    if (connection === "StandAlone") {
      if (!volume.generations.begin()) return done({ code: 118 });
      volume.bitmap?.clearAll();
      return done({ code: volume.saveBitmap() ? 1 : 118 });
    }
    if (!this.isNewPair) return done({ code: 151 });
    const generation = volume.generations.unused();
    const skipSync = formatGeneration(generation);
    volume.link.agreement.ask({ skipSync }, (code) => {
      if (code !== 1) return done({ code });
      done({ code: this.declareEqual(generation) ? 1 : 118 });
    });
  }

  /** Connected, and nobody has written anything yet. */
  get isNewPair(): boolean {
    const { state, generations, link } = this.volume;
    const isNew = (current: bigint | undefined) => current === JUST_CREATED;
    return state.connection === "Connected" &&
      isNew(generations.set?.current) &&
      isNew(link.peerGenerations?.current);
  }

  /** Both agreed that their disks are equal. False: it could not be saved. */
  declareEqual(generation: bigint): boolean {
    const { volume } = this;
    volume.bitmap?.clearAll();
    if (!volume.saveBitmap()) return false;
    if (!volume.generations.repair(skipInitialSync(generation))) return false;
    volume.change({ disk: "UpToDate", peerDisk: "UpToDate" });
    return true;
  }
}

/** Whether the peer's data are known to be older than ours. */
function isBehind({ peerDisk }: MirrorState): boolean {
  return peerDisk === "Inconsistent" || peerDisk === "Outdated";
}
