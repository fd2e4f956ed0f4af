/**
 * The local disk: attaching it, losing it, letting it go.
 *
 * A failed flush, a failed metadata write and, by policy, a failed data read or
 * write take the disk out at once and for good (nothing is retried on it); the
 * application goes on through the peer. What the lost disk may not have, every
 * write that was not stable on it, is marked at the peer first.
 *
 * Source: DRBD 8.4, reference §2.7 (attach, detach); promises.md B10–B12, B15.
 *
 * @module
 */

import {
  compareConnection,
  compareDisk,
  type DiskState,
  isConnected,
  type MirrorState,
} from "../decisions/mirror_state.ts";
import {
  EMPTY_GENERATION,
  type GenerationSet,
} from "../decisions/generations_core.ts";
import {
  disksAlone,
  goesOnWithout,
  roomProblem,
  sizeWith,
  whyOtherData,
} from "./disk_worth_core.ts";
import { callHandler, passOn } from "./passed_errors_core.ts";
import { Detachment } from "./detachment_core.ts";
import { DiskSize } from "./disk_size_core.ts";
import { bitmapOf } from "./loaded_bitmap_core.ts";
import { ShownData } from "./shown_data_core.ts";
import type { VolumeCore } from "./volume_core.ts";
import type {
  AttachedDisk,
  CommandDone,
  PersistentFlags,
} from "./volume_types.ts";

/** See the module comment. */
export class DiskKeeper {
  /** What the disk would be without a peer; defined while it is Negotiating. */
  atAttach: { disk: DiskState; peerDisk: DiskState } | undefined;
  readonly #shown = new ShownData();
  /**
   * With a fencing policy, without a disk: the generation of the peer's copy,
   * which is behind what our lost disk had.
   */
  outdates: bigint | undefined;
  #isFailing = false;
  #wasInSync = false;
  #mayLack = false;
  #isLosing = false;
  /** Without a disk of ours: the peer has writes that were not stable there. */
  mustBeKept = false;
  /** The disk failed with writes that were not stable: it may lack them. */
  #isSuspect = false;

  readonly detachment: Detachment;
  readonly size: DiskSize;

  constructor(readonly volume: VolumeCore) {
    this.size = new DiskSize(volume);
    this.detachment = new Detachment(volume);
  }

  /** The generation that the application has last seen. */
  get exposed(): bigint | undefined {
    return this.#shown.generation;
  }

  /** The disk holds what the application has last seen, as far as we know. */
  get isExposedData(): boolean {
    const { generations: { set }, bitmap } = this.volume;
    return set === undefined || bitmap === undefined ||
      this.#shown.isOn(set.current, bitmap);
  }

  /** Take a disk into use. */
  attach(disk: AttachedDisk, done: CommandDone): void {
    const { volume } = this;
    if (volume.state.disk !== "Diskless") return done({ code: 124 });
    const { persistent } = disk;
    const tooSmall = roomProblem(disk, volume);
    if (tooSmall !== undefined) return done(tooSmall);
    const bitmap = bitmapOf(disk, volume.sizeBytes);
    const { current } = persistent.generations;
    const why = whyOtherData(persistent.generations, {
      state: volume.state,
      isShown: this.exposed !== undefined && this.#shown.isOn(current, bitmap),
      theirs: volume.link.peerGenerations,
    });
    if (why !== undefined) return done({ code: 150, why });
    volume.change({ disk: "Attaching" });
    this.size.backingBytes = disk.sizeBytes;
    volume.persistent = persistent;
    this.size.adopt(sizeWith(disk, volume));
    volume.bitmap = bitmapOf(disk, volume.sizeBytes);
    this.#wasInSync &&= this.#shown.isNamed(current);
    volume.generations.shared();
    if (!this.#recover(persistent.flags)) return done({ code: 118 });
    volume.roles.promotion.attached(persistent.flags);
    this.#settleState(persistent.flags);
    done({ code: volume.hasLocalDisk || this.#isNegotiating() ? 1 : 118 });
  }

  /** We were in sync since the disk came, so every answered write is here. */
  get stayedUp(): boolean {
    return this.#wasInSync && this.volume.config.protocol !== "A";
  }

  /**
   * Until now the peer may have answered what never got here, and may go on so
   * until we meet anew.
   */
  forgetStay(isLinked: boolean): void {
    this.#wasInSync = false;
    this.#mayLack = isLinked;
  }

  /** It lacks what may be answered; the application goes on with the peer's. */
  lacksData(): void {
    this.#wasInSync = false;
    this.#shown.wasOurs(this.volume.generations.set?.current);
  }

  /** The disk was not let go since it was in sync: nothing on it was lost. */
  get isKept(): boolean {
    return this.#wasInSync;
  }

  /** What follows from a change of state for the disk. */
  stateChanged(after: MirrorState): void {
    this.detachment.stateChanged(after);
    if (compareConnection(after.connection, "WFReportParams") < 0) {
      this.#mayLack = false;
    }
    const isInSync = !this.#mayLack && after.connection === "Connected" &&
      after.disk === "UpToDate" && after.peerDisk === "UpToDate";
    // It shows its own generation now, and may fail before this call returns.
    if (after.disk === "UpToDate") {
      this.#shown.isOurs();
      this.atAttach = this.outdates = undefined;
    }
    if (after.role !== "Primary") this.#shown.demoted();
    const isServed = isConnected(after.connection) &&
      after.peerDisk === "UpToDate";
    if (isServed || after.role !== "Primary") this.mustBeKept = false;
    if (isInSync) {
      this.volume.writes.flushes.mayBeLostThere = false;
      this.#wasInSync = true;
      this.#isSuspect = false;
    }
    // The connection ended while the disk was being negotiated: it is not what
    // the application saw, and is let go.
    const isDropped = after.disk === "Diskless" && !this.#isLosing &&
      this.volume.persistent !== undefined;
    if (isDropped) this.#lose();
  }

  /** Let the disk go now. @param isClean Whether all of it is stable. */
  letGo(isClean: boolean): void {
    this.#lose(isClean);
  }

  /** Let the disk go on request. */
  detach(force: boolean, done: CommandDone): void {
    this.detachment.start(force, done);
  }

  /** A data write failed. */
  writeFailed(offset: number, lengthBytes: number): void {
    this.#ioError("write", offset, lengthBytes);
  }

  /** A data read failed. */
  readFailed(offset: number, lengthBytes: number): void {
    this.#ioError("read", offset, lengthBytes);
  }

  /** Something failed that leaves nothing to rely on. */
  failed(what: string): void {
    const { volume } = this;
    if (this.#isFailing || volume.state.disk === "Diskless") return;
    this.#isFailing = true;
    volume.effects.log(
      "error",
      `The disk failed (${what}): detached. Replace or check it, then attach`,
    );
    callHandler(volume); // first: the peer and the metadata hear of it next
    this.#lose();
    this.#isFailing = false;
  }

  /** The link ends: what the application saw through it was the peer's. */
  exposePeers(theirs: GenerationSet | undefined): void {
    const { role, disk, peerDisk } = this.volume.state;
    const isPeers = role === "Primary" && disk !== "UpToDate" &&
      peerDisk === "UpToDate";
    if (!isPeers || theirs === undefined) return;
    this.#shown.isPeers(theirs.current);
    this.mustBeKept = this.volume.writes.hasUnstableThere;
  }

  /** The application sees the peer's data, of this generation. */
  expose(generation: bigint, isMarked?: boolean): void {
    this.#shown.isPeers(generation, isMarked);
  }

  #isNegotiating(): boolean {
    return this.volume.state.disk === "Negotiating";
  }

  /** After a crash: bits first, then a clean log, then the flags say so. */
  #recover(flags: PersistentFlags): boolean {
    const { volume } = this;
    volume.log.reset();
    if (!volume.saveBitmap()) return false;
    if (!volume.effects.resetLog()) {
      this.failed("activity log");
      return false;
    }
    return volume.generations.save({
      flags: {
        ...flags,
        fullSync: false,
        crashedPrimary: flags.crashedPrimary || flags.primary,
      },
    });
  }

  #settleState(flags: PersistentFlags): void {
    const { volume } = this;
    const alone = disksAlone(flags, {
      trusts: volume.config.fencing === "dont-care",
      isSuspect: this.#isSuspect || this.#hasHeardOfNewer,
      lacksWrites: this.#isSuspect && this.#shown.isBeyondOurs,
    });
    if (this.#isSuspect) {
      const why = "failed before its writes were stable: it may lack some";
      volume.effects.log("warn", `This disk ${why}`);
    }
    // Also when the peer has our report, which says that we have no disk.
    const { negotiation } = volume.link;
    if (isConnected(volume.state.connection) || negotiation.reports.isOpen) {
      this.atAttach = alone;
      volume.change({ disk: "Negotiating" });
      volume.link.sendReport(true);
      return;
    }
    volume.change(alone);
  }

  #ioError(what: string, offset: number, lengthBytes: number): void {
    const { volume } = this;
    const passesOn = volume.config.onIoError === "pass_on" &&
      volume.state.role === "Primary";
    if (passesOn) return passOn(volume, { what, offset, lengthBytes });
    if (what === "write") this.#tellDirty(offset, lengthBytes);
    this.failed(what);
  }

  #lose(isClean = false): void {
    const { volume } = this;
    this.#isLosing = true;
    const { disk } = volume.state;
    const isUnused = disk === "Attaching" || this.atAttach !== undefined;
    const isWhole = isClean || this.#isWhole();
    this.#wasInSync &&= isWhole;
    this.#tellWhatIsUnstable();
    volume.fence.diskLost();
    if (volume.state.disk !== "Diskless") volume.change({ disk: "Failed" });
    const isServing = volume.state.role === "Primary" && !isUnused;
    const isServedOn = isServing && !isWhole && volume.canReachData();
    const isLeft = goesOnWithout(volume.config, volume.state);
    const isFailing = this.#isFailing;
    const isOld = isFailing ? isLeft || !isWhole : isLeft && !isUnused;
    if (isOld) this.#outdate(isFailing && isServedOn); // the last flags
    volume.writes.diskLost();
    volume.replica.diskLost();
    volume.flusher.abandon();
    volume.log.reset();
    const { generations: { set } } = volume;
    // A disk that failed may lack what the application was told is there: the
    // same disk must not come back under a Primary that has no peer. One that
    // was being attached or negotiated has shown nothing to anybody.
    if (set !== undefined && !isUnused) {
      this.#shown.wasOurs(set.current, { isWhole, isServing });
      if (isServedOn) this.#shown.servedOn(); // perhaps without a name for it
      if (this.#isPeerBehind) this.outdates = set.bitmap;
      // The peer's copy has the same name, and may have lost what it had.
      const { writes, roles: { promotion } } = volume;
      this.mustBeKept ||= promotion.isPeerUnsure ||
        !isConnected(volume.state.connection) && writes.mayBeLostThere;
    }
    volume.persistent = undefined;
    volume.bitmap = undefined;
    this.size.backingBytes = 0;
    this.atAttach = undefined;
    volume.effects.detachDisk(isClean);
    if (compareDisk(volume.state.disk, "Diskless") > 0) {
      volume.change({ disk: "Diskless" });
    }
    this.#isLosing = false;
    volume.roles.drained(); // nothing is left to wait for
    if (!volume.canReachData() && !volume.state.suspendedNoData) {
      volume.writes.failAll();
    }
  }

  /** What was written or received can be found on the disk again. */
  #isWhole(): boolean {
    const { flusher: { isStable, isRunning }, replica } = this.volume;
    return replica.isDrained && (isStable || !this.#isFailing && !isRunning);
  }

  /** What failed, or went beside a good copy, is not promoted by itself later. */
  #outdate(isBehind: boolean): void {
    const { persistent, effects } = this.volume;
    this.#isSuspect ||= this.#isFailing;
    if (persistent === undefined) return;
    const consistent = persistent.flags.consistent && !isBehind;
    const flags = { ...persistent.flags, wasUpToDate: false, consistent };
    effects.saveState({ ...persistent, flags });
  }

  /** Another generation was shown to us while the disk was away. */
  get #hasHeardOfNewer(): boolean {
    const { config, generations } = this.volume;
    return config.fencing !== "dont-care" &&
      this.#shown.isOther(generations.set?.current);
  }

  /** We wrote on without the peer, which was fenced off or is a target now. */
  get #isPeerBehind(): boolean {
    const { config, state, generations: { set } } = this.volume;
    return config.fencing !== "dont-care" && state.peerDisk !== "UpToDate" &&
      state.peerDisk !== "DUnknown" && set?.bitmap !== EMPTY_GENERATION;
  }

  /** The peer must know which of our blocks never became stable. */
  #tellWhatIsUnstable(): void {
    const { volume } = this;
    if (!isConnected(volume.state.connection)) return;
    for (const write of volume.writes.transfers.unstable()) {
      if (!write.isLocal) continue;
      this.#tellDirty(write.offset, write.lengthBytes);
    }
  }

  #tellDirty(offset: number, lengthBytes: number): void {
    const { volume } = this;
    if (!isConnected(volume.state.connection)) return;
    volume.effects.send({ kind: "dirty", offset, lengthBytes });
  }
}
