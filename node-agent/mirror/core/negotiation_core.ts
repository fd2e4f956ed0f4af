/**
 * What follows from both nodes' reports, and from what the peer tells of its
 * state later.
 *
 * Source: DRBD 8.4, reference §3.4 and §2.2.
 *
 * @module
 */

import type { MirrorReport, MirrorStateWords } from "@kedge/schema/wire/mirror";
import {
  EMPTY_GENERATION,
  sameGeneration,
  sameSet,
} from "../decisions/generations_core.ts";
import {
  decideHandshake,
  type HandshakeOutcome,
  type HandshakeSide,
} from "../decisions/handshake_core.ts";
import {
  compareDisk,
  type DiskState,
  isConnected,
  type MirrorState,
} from "../decisions/mirror_state.ts";
import { meetingSize } from "../decisions/size_core.ts";
import { TARGET_CONNECTIONS, type VolumeCore } from "./volume_core.ts";
import {
  connectionOf,
  generationsOf,
  peerDiskOf,
  roleOf,
} from "./words_core.ts";

/** See the module comment. */
export class Negotiation {
  /** We are throwing our changes away, until the resync has ended: keep them. */
  isDiscarding = false;
  #sent = false;
  #told: MirrorReport | undefined;
  /** The peer is about to mark blocks that are new to it. */
  #isPeerGrowing = false;

  constructor(readonly volume: VolumeCore) {}

  /** Our report is on its way. */
  sent(again: boolean): void {
    this.#sent = true;
    if (!again) this.#decideIfComplete();
  }

  /** The connection is gone. */
  stop(): void {
    this.#sent = false;
    this.#told = undefined;
  }

  /** The peer's report came. */
  reported(report: MirrorReport): void {
    this.#told = report;
    this.volume.resize.isPeerAble = (report.sizeFrames ?? 0) > 0;
    this.#isPeerGrowing = false;
    const { link, state } = this.volume;
    if (!this.#sent && isConnected(state.connection)) link.sendReport(false);
    else this.#decideIfComplete();
  }

  /** The peer told a change of its state. */
  stateTold(words: MirrorStateWords): void {
    const { volume } = this;
    if (!isConnected(volume.state.connection)) return;
    const told = {
      peerRole: roleOf(words.role),
      peerDisk: peerDiskOf(words.disk),
      pausedByPeer: words.paused,
    };
    const peerAt = connectionOf(words.connection);
    switch (volume.state.connection) {
      case "WFBitMapS":
        if (peerAt === "SyncTarget" || peerAt === "PausedSyncT") {
          return volume.source.begin(told);
        }
        break;
      case "Ahead":
        if (volume.congestion.told(peerAt)) return volume.source.begin(told);
        break;
      case "SyncSource":
      case "PausedSyncS":
        if (peerAt === "Connected") return volume.source.peerEnded(told);
        break;
      case "VerifyT":
        if (peerAt === "Connected") {
          volume.change({ ...told, connection: "Connected" });
          return;
        }
        break;
      case "SyncTarget":
      case "PausedSyncT":
        if (volume.congestion.isLeft(peerAt)) return this.#fallBehind(told);
        break;
      case "Connected":
        if (volume.congestion.isLeft(peerAt)) return this.#fallBehind(told);
        // We were its source and lost our disk: it is as old as it was.
        if (
          TARGET_CONNECTIONS.has(peerAt) &&
          compareDisk(told.peerDisk, "Inconsistent") > 0
        ) return this.#adoptTold({ ...told, peerDisk: "Inconsistent" });
        break;
    }
    this.#adoptTold(told);
  }

  /** The Primary no longer sends what it writes. */
  #fallBehind(told: Partial<MirrorState>): void {
    const { volume } = this;
    volume.target.stop();
    volume.change({ ...told, connection: "Behind" });
  }

  #adoptTold(told: Partial<MirrorState>): void {
    const { volume } = this;
    const before = volume.state;
    volume.change(told);
    this.#namePeersLoss(before, volume.state);
  }

  /** The peer lost its disk beside a Primary: what we have gets a new name. */
  #namePeersLoss(before: MirrorState, after: MirrorState): void {
    const { volume } = this;
    const lost = compareDisk(before.peerDisk, "Inconsistent") >= 0 &&
      compareDisk(after.peerDisk, "Inconsistent") < 0;
    const matters = after.peerRole === "Primary" && after.disk === "UpToDate";
    if (lost && matters && isConnected(after.connection)) {
      volume.generations.beforeUnseenWrite();
    }
  }

  #decideIfComplete(): void {
    const report = this.#told;
    if (!this.#sent || report === undefined) return;
    this.stop();
    const refusal = this.#incompatible(report) ?? this.#agreeOnSize(report);
    if (refusal !== undefined) return this.#drop(refusal);
    const peer = report.state;
    const told = {
      peerRole: roleOf(peer.role),
      peerDisk: realDisk(report),
      pausedByPeer: peer.paused,
    };
    const areTwo = this.volume.state.role === "Primary" &&
      told.peerRole === "Primary";
    if (areTwo && this.volume.config.fencedByRegister) {
      return this.#waitForRole();
    }
    const { current } = generationsOf(peer.generations);
    const shows = !this.volume.hasLocalDisk && told.peerDisk === "UpToDate" &&
      this.volume.state.disk !== "Negotiating";
    const isWhole = this.volume.persistent !== undefined &&
      compareDisk(told.peerDisk, "Attaching") > 0;
    if (isWhole) return this.#compare(report, told);
    if (this.#isOtherData(report)) {
      return this.#drop("The peer's data is not what the application had here");
    }
    if (areTwo) return this.#drop("Multiple primaries not allowed by config");
    // Through this connection the application sees the peer's data.
    if (shows) this.volume.disk.expose(current);
    this.volume.change({ connection: "Connected", ...told });
    this.#afterConnect();
  }

  /** A Primary without a disk may go on with the very same data only. */
  #isOtherData(report: MirrorReport): boolean {
    const { volume } = this;
    if (volume.state.role !== "Primary" || volume.hasLocalDisk) return false;
    const { exposed } = volume.disk;
    const { current } = generationsOf(report.state.generations);
    return exposed !== undefined && current !== EMPTY_GENERATION &&
      !sameGeneration(exposed, current);
  }

  #compare(report: MirrorReport, told: Partial<MirrorState>): void {
    const { volume } = this;
    const outcome = decideHandshake(this.#self(), this.#peer(report), {
      resolveConflicts: volume.link.resolveConflicts,
      couldDemote: !volume.roles.isOpen && volume.writes.isIdle,
      // A Primary that gets its disk back has lost nothing by syncing it.
      policies: volume.state.disk === "Negotiating"
        ? { ...volume.config.splitBrain, rrConflict: "violently" }
        : volume.config.splitBrain,
      tentative: volume.link.tentative || report.tentative,
      hardenings: volume.config.hardenings,
    });
    for (const handler of outcome.handlers) {
      if (volume.config.handlers.has(handler)) {
        volume.effects.runHelper(handler, 0);
      }
    }
    if (outcome.next === "drop") return this.#drop(whyDropped(outcome));
    const areTwo = volume.state.role === "Primary" &&
      told.peerRole === "Primary" && !outcome.demote;
    if (areTwo) {
      return this.#drop("Multiple primaries not allowed by config");
    }
    if (outcome.demote) volume.change({ role: "Secondary" });
    this.#enter(outcome, told);
  }

  #enter(outcome: HandshakeOutcome, told: Partial<MirrorState>): void {
    const { volume } = this;
    if (outcome.setWholeBitmap) {
      volume.bitmap?.setAll();
      if (!volume.saveBitmap()) return;
    }
    // Only now: the new names may count from another generation on.
    const { set } = volume.generations;
    if (set !== undefined && !sameSet(set, outcome.generations)) {
      if (!volume.generations.repair(outcome.generations)) return;
    }
    volume.generations.shared();
    const wasNegotiating = volume.state.disk === "Negotiating";
    const disk = wasNegotiating ? volume.disk.atAttach?.disk : undefined;
    // By a command, or by a policy (after-sb-…).
    const loses = volume.link.discardMyData ||
      outcome.handlers.includes("initial-split-brain");
    if (loses && outcome.next === "WFBitMapT") this.isDiscarding = true;
    volume.link.discardMyData = false;
    volume.change({
      connection: outcome.next === "drop" ? "Disconnecting" : outcome.next,
      ...told,
      ...(disk === undefined ? {} : { disk }),
    });
    volume.disk.atAttach = undefined;
    if (outcome.next === "WFBitMapT") volume.link.bitmaps.send();
    if (outcome.next === "Connected") this.#afterConnect();
  }

  #afterConnect(): void {
    this.volume.link.tellState();
    this.volume.fence.peerEqual();
  }

  #self(): HandshakeSide {
    const { volume } = this;
    const { state, persistent } = volume;
    return {
      generations: persistent?.generations ??
        { current: 0n, bitmap: 0n, history: [0n, 0n] },
      outOfSyncBlocks: volume.bitmap?.count ?? 0,
      role: state.role,
      disk: this.#ownDisk(),
      crashedPrimary: persistent?.flags.crashedPrimary ?? false,
      stayedUp: volume.disk.stayedUp,
      discardMyData: volume.link.discardMyData,
    };
  }

  #peer(report: MirrorReport): HandshakeSide {
    const { dirtyBits } = report.state;
    return {
      generations: generationsOf(report.state.generations),
      outOfSyncBlocks: this.#isPeerGrowing ? dirtyBits + 1 : dirtyBits,
      role: roleOf(report.state.role),
      disk: realDisk(report),
      crashedPrimary: report.crashedPrimary,
      stayedUp: report.stayedUp ?? false,
      discardMyData: report.discardMyData,
    };
  }

  /** As the peer reads our report: both must judge by the same words. */
  #ownDisk(): DiskState {
    const { disk, state } = this.volume;
    if (state.disk !== "Negotiating" || disk.atAttach === undefined) {
      return state.disk;
    }
    return compareDisk(disk.atAttach.disk, "Inconsistent") <= 0
      ? "Inconsistent"
      : "Consistent";
  }

  #incompatible(report: MirrorReport): string | undefined {
    const { config } = this.volume;
    const pairs: [string, string, string][] = [
      ["protocol", config.protocol, report.protocol],
      [
        "fencing by a tracker",
        onOff(config.fencedByRegister),
        onOff(report.fencedByRegister ?? false),
      ],
      ["verify-alg", config.verifyAlgorithm, report.verifyAlgorithm],
      ["csums-alg", config.checksumAlgorithm, report.checksumAlgorithm],
      ["after-sb-1pri", config.splitBrain.afterSb1pri, report.afterSplitBrain1],
      ["after-sb-2pri", config.splitBrain.afterSb2pri, report.afterSplitBrain2],
      [
        "after-sb-0pri",
        mirroredPolicy(config.splitBrain.afterSb0pri),
        report.afterSplitBrain0,
      ],
    ];
    const differing = pairs.find(([, ours, theirs]) => ours !== theirs);
    return differing === undefined
      ? undefined
      : `The nodes disagree about ${differing[0]}: ${differing[1]} here, ${
        differing[2]
      } there`;
  }

  /** The volume is as large as the smaller disk, for ever; growing is `resize`. */
  #agreeOnSize(report: MirrorReport): string | undefined {
    const { disk } = this.volume;
    if (disk.backingBytes === 0 || report.backingBytes === 0) {
      this.#takePeersSize(report);
      return undefined;
    }
    const agreedBytes = this.volume.persistent?.agreedBytes ?? 0;
    const backingBytes = disk.offeredBytes;
    const size = meetingSize({ backingBytes, agreedBytes }, report);
    if ("refused" in size) return size.refused;
    this.#isPeerGrowing = size.isPeerDirty;
    return disk.resizeTo(size.sizeBytes, size.isNewDirty)
      ? undefined
      : "The size could not be saved";
  }

  /** Without a disk we have the peer's size, which only grows. */
  #takePeersSize(report: MirrorReport): void {
    const { disk, sizeBytes } = this.volume;
    const peers = report.agreedBytes || report.backingBytes;
    if (disk.backingBytes === 0 && peers > sizeBytes) disk.adoptSize(peers);
  }

  /** The register names one Primary: the other one is about to hear of it. */
  #waitForRole(): void {
    const { volume } = this;
    volume.effects.log("info", "Both nodes are Primary: the register decides");
    volume.effects.closeLink("both nodes are Primary");
    volume.link.linkDown();
  }

  #drop(why: string): void {
    const { volume } = this;
    volume.effects.log("error", `${why}: connection dropped`);
    volume.change({ connection: "Disconnecting" });
    volume.effects.seekPeer(false);
    volume.effects.closeLink(why);
    volume.link.linkDown();
  }
}

/** A disk that is being negotiated is worth what it will be. */
function realDisk(report: MirrorReport): DiskState {
  const disk = peerDiskOf(report.state.disk);
  if (disk !== "Negotiating") return disk;
  return report.willBeInconsistent ? "Inconsistent" : "Consistent";
}

function onOff(is: boolean): string {
  return is ? "on" : "off";
}

function mirroredPolicy(policy: string): string {
  if (policy === "discard-local") return "discard-remote";
  return policy === "discard-remote" ? "discard-local" : policy;
}

function whyDropped(outcome: HandshakeOutcome): string {
  switch (outcome.dropReason) {
    case "unrelated-data":
      return "Unrelated data, aborting!";
    case "split-brain":
      return "Split-Brain detected but unresolved, dropping connection!";
    case "source-without-data":
      return "I shall become SyncSource, but I am inconsistent!";
    case "primary-would-be-target":
      return "I shall become SyncTarget, but I am primary!";
    default:
      return "dry-run connect";
  }
}
