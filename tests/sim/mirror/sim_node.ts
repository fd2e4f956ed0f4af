/**
 * One machine: a disk that stays, and a process with the real core that comes
 * and goes. Does what `node-agent/mirror/volume/volume.ts` does, without a
 * clock, sockets or files of its own.
 *
 * @module
 */

import type { MirrorFrame } from "@kedge/schema/wire/mirror";
import { VolumeCore } from "../../../node-agent/mirror/core/volume_core.ts";
import type { MirrorState } from "../../../node-agent/mirror/decisions/mirror_state.ts";
import type { Prng } from "../prng.ts";
import type { Item, Side } from "./network.ts";
import { deliver } from "./replaced_primary.ts";
import { ReceivedWrites } from "./received_writes.ts";
import { noteChange } from "./state_changes.ts";
import { brief } from "./state_words.ts";
import { configOf } from "./volume_options.ts";
import { type ArmedHangs, type BegunFlush, leaveLateDisk } from "./hangs.ts";
import { FailedAnswers } from "./failed_answers.ts";
import { ForcedRole } from "./forced_role.ts";
import { effectsOf } from "./sim_effects.ts";
import type { SimDisk } from "./sim_disk.ts";
import { doubtMetadata } from "./lying_meta.ts";
import { missMarks } from "./meta_rot.ts";
import { tookLosses } from "./lost_writes.ts";
import { Violation, type World } from "./world.ts";

/** The process ends here, in the middle of what it does. */
export class Crash extends Error {
  constructor(readonly isPowerLoss: boolean) {
    super("crash");
  }
}

/** "Can only attach to the data we lost last." */
const OTHER_DATA = 150;
/** How often the core is told the time, in ms. */
const TICK_MS = 100;
/** How often each node asks the other whether it is there, in ms. */
const PING_MS = 300;
/** Silence after which a connection is given up, in ms. */
const SILENCE_MS = 1_100;

/** See the module comment. */
export class SimNode {
  core: VolumeCore | undefined;
  /** Counts processes. */
  process = 0;
  /** Counts starts of the machine. */
  boot = 0;
  isPaused = false;
  seeks = false;
  side: Side | undefined;
  /** What the peer was when this connection came to be. */
  peerBoot: { boot: number; process: number; disk: number } | undefined;
  isAttached = false;
  /** Its disk is not what the application of this Primary sees. */
  mustDemote = false;
  out: MirrorFrame[] = [];
  closing: string | undefined;
  /** Effects until the armed crash; undefined: none. */
  crashIn: { left: number; isPowerLoss: boolean } | undefined;
  /** Calls until the armed errors. */
  readonly errorIn = { write: -1, read: -1, flush: -1, meta: -1 };
  flushFactor = 1;
  /** Requests until an armed hang, and how long it takes. */
  readonly hangs: ArmedHangs = {};
  /** The flush that runs, of whichever attached disk. */
  flushing: BegunFlush | undefined;
  /** What people gave up: values of this disk when they said so. */
  given: Uint32Array[] = [];
  /** A split brain was found, and nobody has lost anything by it yet. */
  isDivided = false;
  /** A verify of the whole volume runs, and nobody writes. */
  isScrubbing = false;
  /** Counts disks. */
  diskNumber = 0;
  readonly forced = new ForcedRole();
  readonly failedAnswers: FailedAnswers = new FailedAnswers(this);
  /** Counts attached disks: what an earlier one did is not for this one. */
  attachment = 0;
  /** Values on their way to the disk of a Secondary (protocol B). */
  readonly received = new ReceivedWrites();
  #late: ((core: VolumeCore) => void)[] = [];
  #startedMs = 0;
  #clockBaseMs = 0;

  constructor(
    readonly id: 0 | 1,
    readonly world: World,
    readonly disk: SimDisk,
    readonly rng: Prng,
  ) {}

  get isAlive(): boolean {
    return this.core !== undefined;
  }

  get name(): string {
    return this.id === 0 ? "A" : "B";
  }

  /** The clock of this process. */
  nowMs(): number {
    const sinceMs = this.world.scheduler.nowMs - this.#startedMs;
    return this.#clockBaseMs + sinceMs * this.world.plan.clocks[this.id];
  }

  /** What the register calls this node now. */
  bootName(boot = this.boot, process = this.process): string {
    return this.world.plan.protocol === "C" ? `${boot}` : `${boot}.${process}`;
  }

  /** A new process: attach and connect, as at boot. */
  start(): void {
    if (this.isAlive) return;
    const { world } = this;
    this.process++;
    this.#startedMs = world.scheduler.nowMs;
    this.#clockBaseMs = this.rng.pick([0, 1e6]);
    this.core = new VolumeCore(configOf(world.plan), effectsOf(this));
    if (world.plan.flushesAhead) this.core.writes.flushes.regularMin = 0;
    world.sabotage.core?.(this.core);
    this.seeks = false;
    this.side = undefined;
    this.out = [];
    this.closing = undefined;
    this.trace("starts");
    this.run((core) => core.tick(this.nowMs()));
    this.attach();
    this.run((core) =>
      core.roles.connect(
        { discardMyData: false, tentative: false },
        () => {},
      )
    );
    this.#tickLater(this.process);
  }

  /** Take the disk into use. */
  attach(): void {
    this.run((core) => {
      // A flush that was given up still holds the device.
      if (this.isAttached || this.flushing !== undefined) return;
      if (this.disk.isSuperblockRotten) {
        this.world.mark("a rotten superblock was refused");
        return this.trace("attach: 119");
      }
      this.isAttached = true;
      this.attachment++;
      const found = this.disk.recover(this.rng, (losses) => {
        tookLosses(this, losses);
      });
      if (found.bitmapLost) this.world.mark("the bitmap was lost");
      else if (!found.persistent.flags.fullSync) missMarks(this, found.bitmap);
      core.disk.attach(found, ({ code }) => {
        this.trace(`attach: ${code}`);
        this.mustDemote = code === OTHER_DATA;
        if (code !== 1) this.isAttached = false;
      });
    });
  }

  /** Do something in the process, now or when it goes on. */
  run(work: (core: VolumeCore) => void): void {
    const { core } = this;
    if (core === undefined) return;
    if (this.isPaused) {
      this.#late.push(work);
      return;
    }
    try {
      core.nowMs = this.nowMs();
      work(core);
      core.settle();
      this.flushOut();
    } catch (error) {
      if (error instanceof Violation) throw error;
      if (error instanceof Crash) return this.die(error.isPowerLoss);
      const text = error instanceof Error
        ? error.stack ?? error.message
        : String(error);
      this.world.fail("no exception", text);
    }
  }

  /** Send what was gathered. */
  flushOut(): void {
    const { side } = this;
    const frames = this.out;
    if (frames.length > 0) this.out = [];
    if (side === undefined) {
      this.closing = undefined;
      return;
    }
    if (frames.length > 0) {
      const epoch = this.core?.persistent?.epoch ?? 0;
      this.world.network.send(side, { kind: "frames", frames, epoch });
    }
    if (this.closing !== undefined) {
      this.closing = undefined;
      this.linkEnded(side, true);
    }
  }

  /** The process stands still, or goes on. */
  pause(stands: boolean): void {
    if (!this.isAlive || this.isPaused === stands) return;
    this.isPaused = stands;
    if (stands) return;
    const late = this.#late;
    this.#late = [];
    for (const work of late) this.run(work);
  }

  /** The process ends, perhaps with the machine. */
  die(isPowerLoss: boolean): void {
    if (!this.isAlive) {
      if (isPowerLoss) this.#losePower();
      return;
    }
    this.trace(isPowerLoss ? "loses power" : "is killed");
    const { side, world } = this;
    this.core = undefined;
    this.process++;
    this.isPaused = false;
    this.#late = [];
    this.seeks = false;
    this.isAttached = false;
    this.attachment++;
    this.crashIn = undefined;
    this.flushing = undefined;
    this.forced.forget();
    this.disk.processDied();
    world.history.losses.died(this);
    for (const [value, piece] of this.received.pieces()) {
      world.lineage.excuse(piece, [value]);
    }
    this.received.clear();
    if (side !== undefined) {
      this.side = undefined;
      world.network.close(side, !isPowerLoss);
    }
    if (isPowerLoss) this.#losePower();
  }

  /** A connection stands. */
  linkUp(side: Side, resolveConflicts: boolean): void {
    this.run((core) => {
      const isTaken = this.process === side.process &&
        this.side === undefined && core.state.connection === "WFConnection";
      if (!isTaken) return this.world.network.close(side, true);
      this.side = side;
      side.isUp = true;
      side.heardMs = this.nowMs();
      this.seeks = false;
      const peer = side.other.node;
      this.peerBoot = {
        boot: peer.boot,
        process: side.other.process,
        disk: peer.diskNumber,
      };
      core.link.linkUp({ resolveConflicts });
      const waiting = side.waiting;
      side.waiting = [];
      this.world.scheduler.after(0, () => {
        for (const item of waiting) this.arrived(side, item);
      });
    });
  }

  /** Something came. */
  arrived(side: Side, item: Item): void {
    this.run((core) => {
      if (side.isClosed || this.side !== side) return;
      side.heardMs = this.nowMs();
      switch (item.kind) {
        case "end":
          return this.#ended(core, side);
        case "ping":
          core.fence.promised();
          return this.world.network.send(side, {
            kind: "pong",
            sentMs: item.sentMs,
          });
        case "pong":
          return core.fence.leased(item.sentMs);
        case "frames":
          for (const frame of item.frames) {
            this.#frame(core, frame, item.epoch);
          }
      }
    });
  }

  /** Our side of the connection ends. */
  linkEnded(side: Side, tells: boolean): void {
    if (this.side !== side) {
      return this.world.network.close(side, tells);
    }
    this.world.network.close(side, tells);
    this.run((core) => this.#ended(core, side));
  }

  /** A person gives up what only this disk has, as it is now. */
  give(): void {
    const { lineage, taints } = this.world;
    this.given.push(
      this.disk.cache.map((content, piece) =>
        lineage.valueOf(piece, taints.before(this, piece) ?? content) ?? 0
      ),
    );
  }

  trace(line: string): void {
    const { trace, scheduler } = this.world;
    trace?.(`${scheduler.nowMs.toFixed(1)} ${this.name} ${line}`);
  }

  /** The core changed its state. */
  changed(before: MirrorState, after: MirrorState): void {
    noteChange(this, before, after);
  }

  #frame(core: VolumeCore, frame: MirrorFrame, epoch: number): void {
    if (this.world.trace !== undefined) this.trace(`< ${brief(frame)}`);
    if (this.world.plan.protocol !== "C") {
      this.received.arrived(frame, this.world.lineage);
    }
    deliver(this, core, { frame, epoch });
  }

  #ended(core: VolumeCore, side: Side): void {
    if (this.side !== side) return;
    this.world.network.close(side, false);
    this.side = undefined;
    this.closing = undefined;
    this.out = [];
    core.link.linkDown();
    if (core.state.connection === "WFConnection") this.seeks = true;
  }

  #tickLater(process: number): void {
    this.world.scheduler.after(TICK_MS * this.rng.range(0.8, 1.2), () => {
      if (this.process !== process) return;
      this.run((core) => this.#tick(core));
      this.#tickLater(process);
    });
  }

  #tick(core: VolumeCore): void {
    const now = this.nowMs();
    leaveLateDisk(this);
    core.tick(now);
    const { side } = this;
    if (side === undefined) return;
    if (now - side.heardMs > SILENCE_MS) return this.linkEnded(side, true);
    if (now - side.pingedMs < PING_MS) return;
    side.pingedMs = now;
    this.world.network.send(side, { kind: "ping", sentMs: now });
  }

  #losePower(): void {
    this.boot++;
    const losses = this.disk.losePower(this.rng);
    const areOld = this.disk.lyingMeta?.losePower(this.disk) ?? false;
    if (losses.some(({ isLost }) => isLost)) {
      this.world.mark("power took writes");
    }
    tookLosses(this, losses);
    if (areOld) doubtMetadata(this);
  }
}
