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
  isConnected,
  type MirrorState,
} from "../decisions/mirror_state.ts";
import { guestSize, meetingSize, sizeProblem } from "../decisions/size_core.ts";
import { ReportExchange } from "./report_exchange_core.ts";
import { TARGET_CONNECTIONS } from "./state_judge_core.ts";
import type { VolumeCore } from "./volume_core.ts";
import {
  disagreement,
  isSource,
  isTarget,
  isUnfit,
  peerSide,
  realDisk,
  whyDropped,
  worthTold,
} from "./report_sides_core.ts";
import { connectionOf, generationsOf, roleOf } from "./words_core.ts";

/** See the module comment. */
export class Negotiation {
  /** We are throwing our changes away, until the resync has ended: keep them. */
  isDiscarding = false;
  /** Reports, ours and the peer's. */
  readonly reports: ReportExchange;
  /** The peer is about to mark blocks that are new to it. */
  #isPeerGrowing = false;

  constructor(readonly volume: VolumeCore) {
    this.reports = new ReportExchange(
      volume,
      (report) => this.#decide(report),
    );
  }

  /** The peer's report came. */
  reported(report: MirrorReport): void {
    this.volume.resize.isPeerAble = (report.sizeFrames ?? 0) > 0;
    this.#isPeerGrowing = false;
    this.reports.reported(report);
  }

  /** The peer told a change of its state. */
  stateTold(words: MirrorStateWords): void {
    const { volume } = this;
    if (!isConnected(volume.state.connection)) return;
    const told = {
      peerRole: roleOf(words.role),
      peerDisk: worthTold(words, volume.state, volume.disk.exposed),
      pausedByPeer: words.paused,
    };
    const peerAt = connectionOf(words.connection);
    switch (volume.state.connection) {
      case "WFBitMapS":
        if (isTarget(peerAt) && volume.link.bitmaps.isAnswered) {
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
      case "VerifyS":
      case "VerifyT": {
        // The state table would call its disk good while it is compared.
        const isBad = told.peerDisk === "Inconsistent";
        const isOver = volume.state.connection === "VerifyT" &&
          peerAt === "Connected";
        if (isBad || isOver) {
          volume.change({ ...told, connection: "Connected" });
          return;
        }
        break;
      }
      case "SyncTarget":
      case "PausedSyncT":
        if (isSource(peerAt)) volume.target.sourceReplicates();
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

  /**
   * The peer lost its disk beside a Primary: what we have gets a new name. It
   * is stable first: with the name we could overwrite the peer's copy of it.
   */
  #namePeersLoss(before: MirrorState, after: MirrorState): void {
    const { volume } = this;
    const hasNone = () =>
      compareDisk(volume.state.peerDisk, "Inconsistent") < 0 &&
      volume.state.disk === "UpToDate" && isConnected(volume.state.connection);
    const had = compareDisk(before.peerDisk, "Inconsistent") >= 0;
    if (!had || !hasNone() || after.peerRole !== "Primary") return;
    volume.replica.barrier(() => {
      if (hasNone()) volume.generations.beforeUnseenWrite();
    });
  }

  #decide(report: MirrorReport): void {
    const refusal = disagreement(this.volume.config, report) ??
      this.#agreeOnSize(report);
    if (refusal !== undefined) return this.#drop(refusal);
    const peer = report.state;
    const told = {
      peerRole: roleOf(peer.role),
      peerDisk: this.#isOutdatedByUs(report) ? "Negotiating" : realDisk(report),
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
    if (this.#isOtherData(report)) {
      return this.#drop(
        "The peer's data is not known to be what this Primary's application " +
          "has seen: only a Secondary takes it",
      );
    }
    if (isWhole) return this.#compare(report, told);
    if (areTwo) return this.#drop("Multiple primaries not allowed by config");
    const tooSmall = this.#takePeersSize(report);
    if (tooSmall !== undefined) return this.#drop(tooSmall);
    // Through this connection the application sees the peer's data.
    if (shows) this.volume.disk.expose(current, peer.dirtyBits > 0);
    // It was said of what we have now, not of what we shall be given.
    this.volume.link.discardMyData = false;
    const disk = this.#diskAlone(report);
    this.volume.change({ connection: "Connected", ...told, ...disk });
    if (this.volume.state.disk !== "Negotiating") {
      this.volume.disk.atAttach = undefined;
    }
    this.#afterConnect();
  }

  /**
   * Our disk beside a peer without one is what it would be alone. What is not
   * good alone is kept back: on a connection the state table makes UpToDate of it.
   */
  #diskAlone(report: MirrorReport): Partial<MirrorState> {
    const { state, disk } = this.volume;
    const isOutdated = state.disk === "Outdated" || this.#isOutdatedBy(report);
    if (isOutdated || this.#mayLackPeers(report)) {
      const worth = isOutdated ? "Outdated" : "Consistent";
      disk.atAttach = { disk: worth, peerDisk: state.peerDisk };
      return { disk: "Negotiating" };
    }
    if (state.disk !== "Negotiating" || disk.atAttach === undefined) return {};
    const { atAttach } = disk;
    // The peer's copy, which has more, went while ours was being negotiated.
    if (state.role === "Primary" && !disk.isExposedData) {
      return { disk: "Diskless" };
    }
    return atAttach.disk === "Outdated" ? {} : { disk: atAttach.disk };
  }

  /** The peer, without its disk, knows that it was ahead of our copy. */
  #isOutdatedBy({ outdates }: MirrorReport): boolean {
    const { state, disk, generations: { set } } = this.volume;
    if (outdates === undefined || set === undefined) return false;
    return (disk.atAttach?.disk ?? state.disk) === "Consistent" &&
      sameGeneration(BigInt(`0x${outdates}`), set.current);
  }

  /** The peer's missing disk may hold what was answered after we lost it. */
  #mayLackPeers({ state: { role } }: MirrorReport): boolean {
    const { state, disk, roles: { promotion } } = this.volume;
    const isUnsure = (disk.atAttach?.disk ?? state.disk) === "Consistent";
    return isUnsure && promotion.mayLackPeers(roleOf(role));
  }

  /** The same, seen from the node without a disk. */
  #isOutdatedByUs(report: MirrorReport): boolean {
    const { state, disk: { outdates } } = this.volume;
    const { current } = generationsOf(report.state.generations);
    return state.disk === "Diskless" && outdates !== undefined &&
      realDisk(report) === "Consistent" && sameGeneration(outdates, current);
  }

  /** A Primary without a good disk may go on with the very same data only. */
  #isOtherData(report: MirrorReport): boolean {
    const { volume } = this;
    const { exposed, atAttach } = volume.disk;
    const { set } = volume.generations;
    const { role, disk } = volume.state;
    // What is being negotiated is judged by its generations.
    const isBare = !volume.hasLocalDisk && disk !== "Negotiating";
    if (role === "Primary" && (isBare || disk === "Inconsistent")) {
      const { current } = generationsOf(report.state.generations);
      const mayLack = volume.disk.mustBeKept && report.kept === false;
      return current !== EMPTY_GENERATION &&
        (mayLack || isUnfit(exposed, current, realDisk(report)));
    }
    const isShown = roleOf(report.state.role) === "Primary" &&
      report.exposed !== undefined;
    if (!isShown || set === undefined) return false;
    const shown = BigInt(`0x${report.exposed}`);
    return isUnfit(shown, set.current, atAttach?.disk ?? volume.state.disk);
  }

  #compare(report: MirrorReport, told: Partial<MirrorState>): void {
    const { volume } = this;
    const outcome = decideHandshake(this.#self(report), this.#peer(report), {
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

  /** Our application sees the peer's data while our disk comes back. */
  #isServedBy(peer: MirrorReport): boolean {
    const { role, disk } = this.volume.state;
    return role === "Primary" && disk === "Negotiating" &&
      peer.state.disk === "UpToDate";
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
    volume.link.bitmaps.begin();
    if (outcome.next === "WFBitMapT") volume.link.bitmaps.send();
    if (outcome.next === "Connected") this.#afterConnect();
  }

  #afterConnect(): void {
    this.volume.link.tellState();
    this.volume.fence.peerEqual();
  }

  #self(report: MirrorReport): HandshakeSide {
    const { volume } = this;
    const { state, persistent } = volume;
    return {
      generations: persistent?.generations ??
        { current: 0n, bitmap: 0n, history: [0n, 0n] },
      outOfSyncBlocks: volume.bitmap?.count ?? 0,
      role: state.role,
      disk: this.#isServedBy(report)
        ? "Outdated"
        : volume.disk.atAttach?.disk ?? state.disk,
      crashedPrimary: persistent?.flags.crashedPrimary ?? false,
      stayedUp: volume.disk.stayedUp,
      discardMyData: volume.link.discardMyData,
    };
  }

  #peer(report: MirrorReport): HandshakeSide {
    const side = peerSide(report, this.volume.state.disk);
    const { outOfSyncBlocks } = side;
    return {
      ...side,
      outOfSyncBlocks: this.#isPeerGrowing
        ? outOfSyncBlocks + 1
        : outOfSyncBlocks,
    };
  }

  /** The volume is as large as the smaller disk, for ever; growing is `resize`. */
  #agreeOnSize(report: MirrorReport): string | undefined {
    const { disk } = this.volume;
    if (disk.size.backingBytes === 0 || report.backingBytes === 0) {
      return sizeProblem(report);
    }
    const { persistent, config: { sizeBytes: wantedBytes } } = this.volume;
    const agreedBytes = persistent?.agreedBytes ?? 0;
    const { backingBytes } = disk.size;
    const own = { backingBytes, agreedBytes, wantedBytes };
    const size = meetingSize(own, report);
    if ("refused" in size) return size.refused;
    this.#isPeerGrowing = size.isPeerDirty;
    return disk.size.resizeTo(size.sizeBytes, size.isNewDirty)
      ? undefined
      : "The size could not be saved";
  }

  /** Without a disk we have the peer's size. @returns Why that cannot be. */
  #takePeersSize(report: MirrorReport): string | undefined {
    const { disk, sizeBytes, state } = this.volume;
    if (disk.size.backingBytes !== 0) return undefined;
    const isServing = state.role === "Primary";
    const size = guestSize({ sizeBytes, isServing }, report);
    if ("refused" in size) return size.refused;
    disk.size.adopt(size.sizeBytes);
    return undefined;
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
    volume.roles.parting.why = why;
    volume.change({ connection: "Disconnecting" });
    volume.effects.seekPeer(false);
    volume.effects.closeLink(why);
    volume.link.linkDown();
  }
}
