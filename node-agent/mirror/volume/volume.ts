/**
 * A mirrored volume that runs: the core, its disk, its link and its clock.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import type { MirrorFrame } from "@kedge/schema/wire/mirror";
import type { MirrorState } from "../decisions/mirror_state.ts";
import { VolumeCore } from "../core/volume_core.ts";
import type {
  CommandDone,
  VolumeConfig,
  VolumeEffects,
} from "../core/volume_types.ts";
import { digestOf, isKnownDigest } from "../link/digest.ts";
import type { PingTimes } from "../link/liveness_core.ts";
import type { PeerConnection } from "../link/peer_connection.ts";
import { AttachError, BackingDisk, type BackingPaths } from "./backing_disk.ts";
import { Counters } from "./counters.ts";
import { DiscardGuard } from "./discarded_writes.ts";
import { DiskWatch } from "./disk_watch.ts";
import { Pressure } from "./pressure.ts";
import { RegisterSide } from "./register_side.ts";
import type { VolumeSurroundings } from "./surroundings.ts";
import { UndoGuard, type UndoGuardParts } from "./undo_guard.ts";

/** How often the core is told the time, in ms. */
const TICK_MS = 100;
/** How often a Primary asks for its read lease, in ms (promises.md §6.3). */
const LEASE_PING_MS = 250;

/** See the module comment. */
export class Volume {
  readonly core: VolumeCore;
  readonly counters = new Counters();
  #disk: BackingDisk | undefined;
  #connection: PeerConnection | undefined;
  #closing: { why: string; untilMs: number } | undefined;
  readonly #pressure: Pressure;
  #lastLeasePingMs = 0;
  /** When the flush began that is under way. */
  #flushBeganMs: number | undefined;
  readonly #register: RegisterSide;
  readonly #undo: UndoGuard;
  readonly discards: DiscardGuard;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(
    config: VolumeConfig,
    readonly around: VolumeSurroundings,
    /** How long the disk may take. */
    readonly watch: DiskWatch = new DiskWatch(undefined),
  ) {
    const parts: UndoGuardParts = {
      place: around.undo,
      core: () => this.core,
      read: (offset, into) => this.#disk?.read(offset, into) ?? false,
      log: (level, text) => around.log(level, text),
    };
    this.#undo = new UndoGuard(parts);
    this.discards = new DiscardGuard(parts);
    this.core = new VolumeCore(config, this.#effects());
    this.core.tick(performance.now());
    this.#pressure = new Pressure(this.core, () => this.#queued());
    this.#register = new RegisterSide(
      this.core,
      around.identity,
      () => this.#disk?.identity,
    );
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Attach the disk at `paths`. */
  attach(paths: BackingPaths, done: CommandDone): void {
    if (this.#disk !== undefined) return done({ code: 124 });
    try {
      const mustHaveIdentity = this.around.identity !== undefined;
      this.#disk = BackingDisk.open(paths, {
        mustHaveIdentity,
        watch: this.watch,
      });
    } catch (error) {
      if (!(error instanceof AttachError)) throw error;
      return done({ code: error.code, why: error.message });
    }
    const disk = this.#disk;
    this.core.disk.attach(disk.describe(), (result) => {
      if (result.code !== 1) {
        disk.close(false);
        if (this.#disk === disk) this.#disk = undefined;
      }
      done(result);
    });
    this.settle();
  }

  /** Take other options; they were found possible. */
  configure(config: VolumeConfig, pings: PingTimes): void {
    if (this.#connection !== undefined) this.#connection.pings = pings;
    this.core.options.take(config);
    this.settle();
  }

  /** Use a greeted connection. Returns whether it is taken. */
  connected(
    connection: PeerConnection,
    facts: { readonly resolveConflicts: boolean },
  ): boolean {
    if (this.#connection !== undefined) return false;
    if (this.core.state.connection !== "WFConnection") return false;
    this.#connection = connection;
    this.#closing = undefined;
    this.around.seekPeer(false);
    this.core.link.linkUp(facts);
    this.settle();
    connection.run({
      frame: (frame, epoch) => this.#frame(frame, epoch),
      batchEnd: () => this.#batchEnd(),
      pinged: () => {
        this.lookAtClock();
        this.core.fence.promised();
      },
      ponged: (sentMs) => this.core.fence.leased(sentMs),
      drained: () => this.#drained(),
    }).then(() => this.#linkEnded(connection));
    return true;
  }

  /** The peer is there, but does not accept us: StandAlone, as DRBD does. */
  refused(why: string): void {
    if (this.core.state.connection !== "WFConnection") return;
    this.around.log("error", `${why}. StandAlone until "drbdadm connect"`);
    this.core.roles.dropConnection(why);
    this.settle();
  }

  /**
   * Leases count by the clock as it is now: the last tick may lie far back, if
   * this process was stopped.
   */
  lookAtClock(): void {
    const { core } = this;
    if (core.config.fencedByRegister) core.nowMs = performance.now();
  }

  /** The end of a batch of calls: submit and send what was gathered. */
  settle(): void {
    this.core.settle();
    this.#connection?.out.flush();
    if (this.#closing !== undefined) this.#closeWhenSent();
  }

  /** A promise while too much is under way, for those who bring more. */
  pressure(): Promise<void> | undefined {
    return this.#pressure.ofClients;
  }

  /** End: the disk is let go in order when nothing is under way. */
  close(): void {
    clearInterval(this.#timer);
    const connection = this.#connection;
    this.#connection = undefined; // its end concerns nobody any more
    connection?.close("the volume is taken down");
    this.#undo.close();
    this.discards.close();
    const isClean = this.#isClean();
    this.#disk?.close(isClean);
    this.#disk = undefined;
  }

  /**
   * Whether the disk needs no activity log any more: it knows every block that
   * the peer may lack. What is not stable there yet is known by the log alone.
   */
  #isClean(): boolean {
    const { writes } = this.core;
    return writes.isIdle && writes.transfers.unstableWrites === 0 &&
      this.core.saveBitmap();
  }

  #tick(): void {
    const nowMs = performance.now();
    this.#leaveLateDisk(nowMs);
    this.core.tick(nowMs);
    const wantsLease = this.core.config.fencedByRegister &&
      this.core.state.role === "Primary" &&
      nowMs - this.#lastLeasePingMs >= LEASE_PING_MS;
    if (wantsLease) this.#lastLeasePingMs = nowMs;
    this.#connection?.tick(nowMs, wantsLease);
    this.settle();
    this.#pressure.relieve();
  }

  #frame(frame: MirrorFrame, epoch: number): void {
    if ("payload" in frame) {
      this.counters.receivedBytes += frame.payload.length;
    }
    this.core.nowMs = performance.now();
    const known = this.#register.heard(frame, epoch);
    if (known !== undefined) this.core.frame(frame, known);
  }

  #batchEnd(): Promise<void> | undefined {
    this.settle();
    this.#pressure.relieve();
    return this.#pressure.ofPeer;
  }

  #drained(): void {
    this.core.source.settle();
    this.settle();
    this.#pressure.relieve();
  }

  #queued(): number {
    return this.#connection?.out.queuedBytes ?? 0;
  }

  #linkEnded(connection: PeerConnection): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    this.#closing = undefined;
    this.#register.linkDown();
    this.around.log("info", `Connection ended: ${connection.why}`);
    this.core.link.linkDown();
    this.settle();
    this.#pressure.relieve();
    if (this.core.state.connection === "WFConnection") {
      this.around.seekPeer(true);
    }
  }

  /** What is queued (a last word) goes out first, if the peer takes it soon. */
  #closeWhenSent(): void {
    const connection = this.#connection;
    if (connection === undefined || this.#closing === undefined) return;
    const { why, untilMs } = this.#closing;
    const isSent = connection.out.queuedBytes === 0;
    if (isSent || performance.now() > untilMs) connection.close(why);
  }

  #effects(): VolumeEffects {
    const disk = () => this.#disk;
    const { around, counters } = this;
    return {
      get canPunch() {
        return disk()?.canPunch ?? false;
      },
      writeData: (offset, data) => {
        counters.writtenBytes += data.length;
        this.#undo.before(offset, data.length);
        this.discards.before(offset, data.length, data);
        this.#sendFirst();
        return disk()?.write(offset, data) ?? false;
      },
      zeroData: (offset, lengthBytes, mayPunch) => {
        counters.writtenBytes += lengthBytes;
        this.#undo.before(offset, lengthBytes);
        this.discards.before(offset, lengthBytes);
        return disk()?.zero(offset, lengthBytes, mayPunch) ?? false;
      },
      readData: (offset, into) => {
        counters.readBytes += into.length;
        return disk()?.read(offset, into) ?? false;
      },
      flushData: () => this.#flush(),
      commitLog: (changes) => {
        counters.logWrites++;
        const ok = disk()?.commitLog(changes) ?? false;
        queueMicrotask(() => {
          this.core.logCommitted(ok);
          this.settle();
        });
      },
      resetLog: () => disk()?.resetLog(this.core.config.alExtents) ?? false,
      saveState: (state) => disk()?.saveState(state) ?? false,
      usableBytes: () => disk()?.usableBytes(),
      useWholeDisk: () => disk()?.useWholeDisk() ?? false,
      sizeChanged: (sizeBytes) => around.sizeChanged(sizeBytes),
      saveBitmap: (bytes, pages) => {
        counters.bitmapWrites += pages.length;
        return disk()?.saveBitmap(bytes, pages) ?? false;
      },
      detachDisk: (isClean) => {
        this.#undo.close();
        this.discards.close();
        disk()?.close(isClean);
        this.#disk = undefined;
      },
      send: (frame) => {
        if ("payload" in frame) counters.sentBytes += frame.payload.length;
        const { epoch } = this.#register;
        this.#connection?.send(this.#register.named(frame), epoch);
      },
      payloadRoom: (lengthBytes) =>
        this.#connection?.payloadRoom(lengthBytes) ??
          new Uint8Array(lengthBytes),
      queuedBytes: () => this.#queued(),
      closeLink: (why) => {
        this.#closing ??= { why, untilMs: performance.now() + LAST_WORD_MS };
        this.#connection?.out.flush();
        this.#closeWhenSent();
      },
      seekPeer: (seek) => around.seekPeer(seek),
      runHelper: (name, id) => around.runHelper(name, id),
      changeRegister: (change, id) =>
        around.changeRegister(change, id, this.#register.parties()),
      stateChanged: (before, after) => {
        if (before.connection !== after.connection) this.#watchResync(after);
        this.discards.stateChanged(before, after);
        around.stateChanged(before, after);
      },
      keepUndo: (keep) => this.#undo.keep(keep),
      // A peer may ask for one although none is configured: it gets nothing.
      digest: (algorithm, bytes) =>
        isKnownDigest(algorithm)
          ? digestOf(algorithm, bytes)
          : new Uint8Array(0),
      random64: () => randomBytes(8).readBigUInt64BE(),
      log: (level, text) => around.log(level, text),
    };
  }

  /** The first write after a pause goes to the peer while we write it here. */
  #sendFirst(): void {
    if (this.core.writes.pending === 0) this.#connection?.out.flush();
  }

  #watchResync({ connection }: MirrorState): void {
    if (connection === "WFBitMapT") this.#undo.noteGeneration();
    if (connection === "SyncTarget") this.#undo.resume();
  }

  /** A flush runs beside us: one that does not end is seen here. */
  #leaveLateDisk(nowMs: number): void {
    const beganMs = this.#flushBeganMs;
    if (beganMs === undefined || !this.watch.isLate(beganMs, nowMs)) return;
    this.#flushBeganMs = undefined;
    this.#disk?.abandon();
    this.core.disk.failed("a flush took longer than disk-timeout");
  }

  #flush(): void {
    const disk = this.#disk;
    if (disk === undefined) {
      queueMicrotask(() => this.core.diskFlushed(false));
      return;
    }
    const beganMs = this.#flushBeganMs = performance.now();
    disk.flush().then((ok) => {
      if (this.#flushBeganMs === beganMs) this.#flushBeganMs = undefined;
      if (this.#disk !== disk) return; // it is gone, and the core knows
      this.core.diskFlushed(ok);
      this.settle();
      this.#pressure.relieve();
    });
  }
}

/** How long a peer that takes nothing keeps a connection open, in ms. */
const LAST_WORD_MS = 5000;
