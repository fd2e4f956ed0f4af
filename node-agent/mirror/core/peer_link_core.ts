/**
 * The connection to the peer, from the first report to its end.
 *
 * ```text
 * linkUp ─▶ report ⇄ report ─▶ decideHandshake (both nodes, mirrored answers)
 *   drop ─▶ StandAlone
 *   nothing to copy ─▶ Connected
 *   source: WFBitMapS ◀─ target's bitmap;  ─▶ merged bitmap, interim generation
 *   target: WFBitMapT ─▶ WFSyncUUID ─▶ (handler) durably Inconsistent ─▶ SyncTarget
 *   source hears "SyncTarget" ─▶ SyncSource: from this very frame on it replicates
 * ```
 *
 * Until the target has said that it is durably Inconsistent, the source's
 * writes only mark blocks, on both sides, in the order of the stream: no write
 * can fall between the bitmap and the replication (DRBD 2020–21, testing.md
 * lesson 7), and none reaches a disk that still calls itself good.
 *
 * Source: DRBD 8.4, reference §2.2, §3.4; promises.md B9, B10.
 *
 * @module
 */

import type {
  MirrorFrame,
  MirrorReport,
  MirrorStateWords,
} from "@kedge/schema/wire/mirror";
import {
  formatGeneration,
  type GenerationSet,
} from "../decisions/generations_core.ts";
import {
  compareDisk,
  type ConnectionState,
  isConnected,
  type MirrorState,
} from "../decisions/mirror_state.ts";
import { AnswerWatch } from "./answer_watch_core.ts";
import { BitmapExchange } from "./bitmap_exchange_core.ts";
import { Negotiation } from "./negotiation_core.ts";
import { PeerAgreement } from "./peer_agreement_core.ts";
import { isWithin } from "./frame_bounds_core.ts";
import { generationsOf, wordsOf } from "./words_core.ts";
import type { VolumeCore } from "./volume_core.ts";

/** How long both nodes may take to agree on who copies what. */
const NEGOTIATION_MS_MAX = 30_000;
/** As long as a handler of the target may take before it agrees to be one. */
const TARGET_MS_MAX = 310_000;
/** How long a flush may keep us from meeting the peer before we say so. */
const UNMET_MS_MAX = 5_000;

const FLUSH_HANGS =
  "A flush of this disk does not end: the peer is not met before it does. " +
  '"drbdadm detach --force" gives the disk up';

/** See the module comment. */
export class PeerLink {
  /** What the peer calls its data; undefined before its first report. */
  peerGenerations: GenerationSet | undefined;
  readonly negotiation: Negotiation;
  readonly bitmaps: BitmapExchange;
  readonly agreement: PeerAgreement;
  /** This node breaks ties on this connection. */
  resolveConflicts = false;
  /** Throw our changes away if the handshake finds a split brain. */
  discardMyData = false;
  /** Only say what would happen. */
  tentative = false;
  #isUp = false;
  #awaitsDrain = false;
  #sinceMs = 0;
  readonly #answers = new AnswerWatch();

  constructor(readonly volume: VolumeCore) {
    this.negotiation = new Negotiation(volume);
    this.bitmaps = new BitmapExchange(volume);
    this.agreement = new PeerAgreement(volume);
  }

  /** A connection stands and the peer has proven who it is. */
  linkUp(facts: { readonly resolveConflicts: boolean }): void {
    const { volume } = this;
    if (volume.state.connection !== "WFConnection") {
      return volume.effects.closeLink("Not waiting for a connection");
    }
    this.#isUp = true;
    this.resolveConflicts = facts.resolveConflicts;
    this.#sinceMs = volume.nowMs;
    this.#answers.reset();
    volume.writes.linkReady();
    volume.replica.linkReady();
    volume.source.linkReady();
    volume.change({ connection: "WFReportParams" });
    this.#awaitsDrain = true;
    this.drained();
  }

  /**
   * What came on an earlier link is on the disk, and our role is certain: our
   * report is true. What it lets the peer give up must be stable here: the
   * peer's copy of an answered write may be the only one that is.
   */
  drained(): void {
    const { replica, fence, flusher, hasLocalDisk } = this.volume;
    if (!this.#awaitsDrain || !replica.isDrained || fence.isUnheard) return;
    if (hasLocalDisk && !flusher.isStable) {
      return flusher.request(() => this.drained());
    }
    this.#awaitsDrain = false;
    this.sendReport(false);
  }

  /** The connection is gone. */
  linkDown(why: ConnectionState = "NetworkFailure"): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#awaitsDrain = false;
    const { volume } = this;
    this.#sinceMs = volume.nowMs;
    volume.disk.exposePeers(this.peerGenerations);
    const { connection } = volume.state;
    const isLeaving = connection === "Disconnecting";
    const isEnding = connection === "TearDown";
    this.negotiation.reports.stop();
    this.bitmaps.stop();
    volume.resize.stop();
    volume.replica.linkDown();
    if (!isLeaving && !isEnding) volume.change({ connection: why });
    volume.reads.peerLost();
    if (volume.state.role !== "Primary") volume.saveBitmap();
    if (isLeaving) {
      volume.change({ connection: "StandAlone" });
    } else {
      volume.change({ connection: "Unconnected" });
      if (!volume.flusher.isRunning) {
        volume.change({ connection: "WFConnection" });
      }
    }
    this.peerGenerations = undefined;
    // Whoever waits for the peer's word judges again, without the peer.
    this.agreement.stop();
    volume.reads.retry();
    volume.writes.retry();
  }

  /**
   * Look for the peer, once the flush that ran when it went has ended, or its
   * disk has gone: our report would wait for that, and the writes of a peer that
   * is Primary for our report.
   */
  meetAgain(): void {
    const { volume } = this;
    if (this.#isUp || volume.state.connection !== "Unconnected") return;
    volume.change({ connection: "WFConnection" });
    volume.effects.seekPeer(true);
  }

  /** Decide anew on a connection that stands: a disk came, or changed its worth. */
  negotiateAgain(): void {
    if (isConnected(this.volume.state.connection)) this.sendReport(true);
  }

  /** Tell the peer everything it needs to decide. */
  sendReport(again: boolean): void {
    const report = this.#report(again);
    this.volume.effects.send({ kind: "report", report });
    this.negotiation.reports.sent(report);
  }

  /** The peer's question is not answered: we shall ask it instead. */
  putOffReport(): void {
    const report = { ...this.#report(false), later: true };
    this.volume.effects.send({ kind: "report", report });
  }

  /** The peer broke the protocol. */
  protocolError(what: string): void {
    this.volume.effects.log("error", `Protocol error of the peer: ${what}`);
    this.volume.effects.closeLink(what);
    this.linkDown("ProtocolError");
  }

  /** A frame of the peer. */
  frame(frame: MirrorFrame): void {
    if (!this.#isUp) return;
    if (!isWithin(frame, this.volume.sizeBytes)) {
      return this.protocolError(`a ${frame.kind} beyond its bounds`);
    }
    const { volume } = this;
    switch (frame.kind) {
      case "data":
      case "zero":
      case "flush":
        return volume.replica.receive(frame);
      case "ack":
        return volume.writes.acknowledged(frame);
      case "failed":
        return this.#peerDiskFailed(frame.sequence);
      case "dirty":
        volume.bitmap?.set(frame.offset, frame.lengthBytes);
        return;
      case "readRequest":
        return volume.replica.inOrder(
          frame,
          ({ id, offset, lengthBytes }) =>
            volume.reads.requested(id, offset, lengthBytes),
        );
      case "readReply":
        return volume.reads.reply(frame.id, frame.payload);
      case "resyncRequest":
        return volume.replica.inOrder(
          frame,
          (request) => volume.source.requested(request),
        );
      case "resyncData":
        return volume.replica.inOrder(
          frame,
          (answer) => volume.target.arrived(answer),
        );
      case "resyncStable":
        return volume.source.stableUpTo(frame.id);
      case "verifyRequest":
        return volume.replica.inOrder(
          frame,
          (request) => volume.verify.requested(request),
        );
      case "verifyReply":
        return volume.replica.inOrder(
          frame,
          ({ id, digest }) => volume.verify.replied(id, digest),
        );
      case "bitmap":
        return this.bitmaps.piece(frame.atByte, frame.payload, frame.last);
      case "syncGeneration":
        return this.bitmaps.syncGeneration(frame.generation);
      case "currentGeneration":
        return this.#peerBegan(frame.generation);
      case "report":
        return this.#reported(frame.report);
      case "state":
        return this.#stateTold(frame.state);
      case "stateRequest":
        return this.agreement.asked(frame.id, frame.wish);
      case "stateReply":
        return this.agreement.answered(frame.id, frame.code);
      case "sizeRequest":
        return volume.resize.requested(frame.id, frame.wish);
      case "sizeReply":
        return volume.resize.replied(frame.id, frame.answer);
    }
  }

  /** Tell the peer of a change, while it listens. */
  stateChanged(before: MirrorState, after: MirrorState): void {
    if (after.disk === "Diskless") this.meetAgain();
    const wasConnected = isConnected(before.connection);
    if (!this.#isUp || !isConnected(after.connection) || !wasConnected) return;
    const isOwn = before.role !== after.role || before.disk !== after.disk ||
      before.connection !== after.connection ||
      before.pausedByUser !== after.pausedByUser ||
      before.pausedByDependency !== after.pausedByDependency;
    if (isOwn) this.tellState();
    if (after.disk === "Diskless") this.negotiation.reports.askIfPutOff();
  }

  /** Tell the peer where we stand. */
  tellState(): void {
    this.volume.effects.send({ kind: "state", state: wordsOf(this.volume) });
  }

  /** Timeouts: an endless negotiation, a peer that answers nothing. */
  tick(nowMs: number): void {
    if (!this.#isUp) return this.#sayIfUnmet(nowMs);
    const { connection } = this.volume.state;
    const isDeciding = connection === "WFReportParams" ||
      connection === "WFBitMapS" || connection === "WFBitMapT" ||
      this.negotiation.reports.isOpen; // writes are held until it is answered
    if (!isDeciding || this.bitmaps.isHeld) this.#sinceMs = nowMs;
    const isTold = connection === "WFBitMapS" && this.bitmaps.isAnswered &&
      !this.negotiation.reports.isOpen;
    const limitMs = isTold ? TARGET_MS_MAX : NEGOTIATION_MS_MAX;
    if (nowMs - this.#sinceMs > limitMs) {
      return this.#timeout("the handshake does not end");
    }
    if (this.agreement.waitsMs > NEGOTIATION_MS_MAX) {
      return this.#timeout("a change of state is not answered");
    }
    this.#watchAnswers(nowMs);
  }

  #sayIfUnmet(nowMs: number): void {
    const { state, effects } = this.volume;
    if (state.connection !== "Unconnected") this.#sinceMs = nowMs;
    if (nowMs - this.#sinceMs <= UNMET_MS_MAX) return;
    this.#sinceMs = Infinity;
    effects.log("warn", FLUSH_HANGS);
  }

  #watchAnswers(nowMs: number): void {
    const { writes, reads, resize, config } = this.volume;
    const limitMs = config.peerTimeoutMs || Infinity;
    const late = this.#answers.look(nowMs, limitMs, [
      writes.sent.owedWrite,
      writes.sent.owedFlush,
      reads.owed,
      this.agreement.owed,
      resize.owed,
    ]);
    if (late !== undefined) {
      this.#timeout(`${late} is not answered for ${limitMs} ms`);
    }
  }

  /** End a connection that is of no use. */
  giveUp(why: string): void {
    this.volume.effects.log("warn", `Connection given up: ${why}`);
    this.volume.effects.closeLink(why);
    this.linkDown("ProtocolError");
  }

  #timeout(why: string): void {
    this.volume.effects.log("warn", `Connection given up: ${why}`);
    this.volume.effects.closeLink(why);
    this.linkDown("Timeout");
  }

  #peerDiskFailed(sequence: number): void {
    const { peerDisk } = this.volume.state;
    // It may have told before that its disk is gone, and have one again.
    if (this.volume.writes.isForgotten(sequence)) return;
    if (compareDisk(peerDisk, "Inconsistent") < 0) return;
    this.volume.change({ peerDisk: "Failed" });
  }

  #peerBegan(generation: bigint): void {
    const { volume } = this;
    if (this.peerGenerations !== undefined) {
      this.peerGenerations = { ...this.peerGenerations, current: generation };
    }
    if (!volume.hasLocalDisk) volume.disk.expose(generation);
  }

  #reported(report: MirrorReport): void {
    this.peerGenerations = generationsOf(report.state.generations);
    this.negotiation.reported(report);
  }

  #stateTold(words: MirrorStateWords): void {
    this.peerGenerations = generationsOf(words.generations);
    this.negotiation.stateTold(words);
  }

  #report(again: boolean): MirrorReport {
    const { volume } = this;
    const { config, persistent } = volume;
    const { atAttach, exposed, outdates } = volume.disk;
    const alone = atAttach?.disk ?? volume.state.disk;
    const { role, disk } = volume.state;
    const isBare = disk === "Diskless" || disk === "Inconsistent";
    const isShown = role === "Primary" && isBare && exposed !== undefined;
    return {
      state: wordsOf(volume),
      again,
      backingBytes: volume.disk.size.look(),
      wantedBytes: config.sizeBytes,
      sizeFrames: 1,
      agreedBytes: persistent?.agreedBytes ?? 0,
      protocol: config.protocol,
      discardMyData: this.discardMyData,
      stayedUp: volume.disk.stayedUp,
      kept: volume.disk.isKept,
      crashedPrimary: persistent?.flags.crashedPrimary ?? false,
      willBeInconsistent: compareDisk(alone, "Inconsistent") <= 0,
      afterSplitBrain0: config.splitBrain.afterSb0pri,
      afterSplitBrain1: config.splitBrain.afterSb1pri,
      afterSplitBrain2: config.splitBrain.afterSb2pri,
      alwaysAsbp: config.splitBrain.alwaysAsbp,
      rrConflict: config.splitBrain.rrConflict,
      dataIntegrity: "",
      verifyAlgorithm: config.verifyAlgorithm,
      checksumAlgorithm: config.checksumAlgorithm,
      tentative: this.tentative,
      fencedByRegister: config.fencedByRegister,
      ...(atAttach === undefined ? {} : { alone }),
      ...(isShown ? { exposed: formatGeneration(exposed) } : {}),
      ...(disk === "Diskless" && outdates !== undefined
        ? { outdates: formatGeneration(outdates) }
        : {}),
    };
  }
}
