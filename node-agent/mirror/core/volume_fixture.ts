/**
 * Two volumes joined in memory, for tests: disks are arrays, the link is a
 * queue that {@link Pair.run} empties, flushes end at once.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { MirrorFrame } from "@kedge/schema/wire/mirror";
import { CREATED_SET } from "../decisions/generations_core.ts";
import { HARDENED } from "../decisions/hardenings_core.ts";
import { RESYNC_DEFAULTS } from "../decisions/resync_controller_core.ts";
import { SPLIT_BRAIN_DEFAULTS } from "../decisions/split_brain_core.ts";
import { VolumeCore } from "./volume_core.ts";
import type {
  AttachedDisk,
  PersistentState,
  RegisterAnswer,
  VolumeConfig,
  VolumeEffects,
} from "./volume_types.ts";

/** Options as the tutorial's, quick enough for tests. */
export const TEST_CONFIG: VolumeConfig = {
  protocol: "C",
  alExtents: 67,
  onIoError: "detach",
  fencing: "dont-care",
  onNoData: "io-error",
  splitBrain: SPLIT_BRAIN_DEFAULTS,
  verifyAlgorithm: "sha1",
  checksumAlgorithm: "",
  checksumAfterCrashOnly: false,
  onCongestion: "block",
  congestionFillBytes: 0,
  congestionExtents: 1237,
  maxEpochWrites: 2048,
  peerTimeoutMs: 42_000,
  fencedByRegister: false,
  handlers: new Set(),
  resync: { ...RESYNC_DEFAULTS, resyncRateKibPerSecond: 102_400 },
  hardenings: HARDENED,
};

/** What `create-md` leaves. */
export const NEW_STATE: PersistentState = {
  generations: CREATED_SET,
  flags: {
    consistent: false,
    primary: false,
    connected: false,
    fullSync: false,
    wasUpToDate: false,
    peerOutdated: false,
    crashedPrimary: false,
  },
  agreedBytes: 0,
  epoch: 0,
};

/** One node of a pair. */
export class TestNode {
  data: Uint8Array;
  persistent: PersistentState = NEW_STATE;
  bitmap: Uint8Array = new Uint8Array(4096);
  readonly sent: MirrorFrame[] = [];
  readonly lines: string[] = [];
  /** What the register was asked and has not answered. */
  readonly wishes: { readonly kind: string; readonly id: number }[] = [];
  /** Handlers that were called and have not ended. */
  readonly helpers: { readonly name: string; readonly id: number }[] = [];
  seeks = false;
  isLinkClosed = false;
  failsWrites = false;
  /** What the network has not taken. */
  queuedBytes = 0;
  failsMetadata = false;
  failsLog = false;
  /** Every size that the volume was given. */
  readonly sizes: number[] = [];
  failsFlushes = false;
  failsReads = false;
  core: VolumeCore;
  #work: (() => void)[] = [];
  static #random = 0x1000n;

  constructor(sizeBytes: number, config: Partial<VolumeConfig> = {}) {
    this.data = new Uint8Array(sizeBytes);
    this.core = new VolumeCore({ ...TEST_CONFIG, ...config }, this.#effects());
  }

  /** A new process: it knows what is on the disk. */
  restart(): void {
    this.#work = [];
    this.sent.length = 0;
    this.core = new VolumeCore(this.core.config, this.#effects());
  }

  /** The backing device as it is now. */
  disk(): AttachedDisk {
    return {
      persistent: this.persistent,
      sizeBytes: this.data.length,
      bitmap: this.bitmap.slice(),
      bitmapLost: false,
    };
  }

  /** The backing device is larger from now on; what is new in it is no zeroes. */
  enlarge(sizeBytes: number, fill: number): void {
    const data = new Uint8Array(sizeBytes).fill(fill);
    data.set(this.data);
    this.data = data;
  }

  /** Let the register answer its oldest question. */
  answer(outcome: RegisterAnswer["outcome"], epoch: number): void {
    const asked = this.wishes.shift();
    if (asked === undefined) throw new Error("The register was not asked");
    this.core.fence.registerChanged(asked.id, { outcome, epoch });
    this.core.settle();
  }

  /** Let the handler end that was called first. */
  endHelper(name: string, exitCode: number): void {
    const called = this.helpers.shift();
    if (called?.name !== name) throw new Error(`${called?.name}, not ${name}`);
    this.core.helperDone(called.id, exitCode);
    this.core.settle();
  }

  /** Do what was asked for asynchronously. False: there was nothing. */
  work(): boolean {
    const work = this.#work;
    this.#work = [];
    for (const each of work) each();
    this.core.settle();
    return work.length > 0;
  }

  #effects(): VolumeEffects {
    return {
      canPunch: true,
      writeData: (offset, data) => {
        if (this.failsWrites) return false;
        this.data.set(data, offset);
        return true;
      },
      zeroData: (offset, lengthBytes) => {
        this.data.fill(0, offset, offset + lengthBytes);
        return true;
      },
      readData: (offset, into) => {
        if (this.failsReads) return false;
        into.set(this.data.subarray(offset, offset + into.length));
        return true;
      },
      flushData: () =>
        this.#work.push(() => this.core.diskFlushed(!this.failsFlushes)),
      commitLog: () => this.#work.push(() => this.core.logCommitted(true)),
      resetLog: () => !this.failsLog,
      saveState: (state) => {
        this.persistent = state;
        return true;
      },
      usableBytes: () => this.data.length,
      useWholeDisk: () => !this.failsMetadata,
      sizeChanged: (sizeBytes) => this.sizes.push(sizeBytes),
      saveBitmap: (bytes) => {
        this.bitmap = bytes.slice();
        return true;
      },
      detachDisk: () => {},
      send: (frame) => this.sent.push(copied(frame)),
      queuedBytes: () => this.queuedBytes,
      closeLink: () => this.isLinkClosed = true,
      seekPeer: (seek) => this.seeks = seek,
      runHelper: (name, id) => {
        this.lines.push(`helper ${name}`);
        this.helpers.push({ name, id });
      },
      changeRegister: ({ kind }, id) => this.wishes.push({ kind, id }),
      stateChanged: () => {},
      keepUndo: () => {},
      digest: (_algorithm, bytes) =>
        new Uint8Array(createHash("sha1").update(bytes).digest()),
      random64: () => TestNode.#random += 0x10n,
      log: (level, text) => this.lines.push(`${level} ${text}`),
    };
  }
}

/** Two nodes and what is between them. */
export class Pair {
  readonly a: TestNode;
  readonly b: TestNode;
  nowMs = 0;
  isCut = false;
  #isUp = false;

  constructor(sizeBytes: number, config: Partial<VolumeConfig> = {}) {
    this.a = new TestNode(sizeBytes, config);
    this.b = new TestNode(sizeBytes, config);
  }

  /** Attach both disks and let both look for one another. */
  up(): void {
    for (const node of [this.a, this.b]) {
      node.core.disk.attach(node.disk(), () => {});
      this.connect(node);
    }
    this.run();
  }

  /** `connect` on one node. */
  connect(node: TestNode, discardMyData = false): void {
    node.core.roles.connect({ discardMyData, tentative: false }, () => {});
  }

  /** Cut the link; {@link mend} lets it come back. */
  cut(): void {
    this.isCut = true;
    this.run();
  }

  /** The link may stand again. */
  mend(): void {
    this.isCut = false;
    this.run();
  }

  /** Let everything happen until nothing more does, for so many ticks. */
  run(ticks = 200): void {
    for (let tick = 0; tick < ticks; tick++) {
      this.nowMs += 100;
      this.a.core.tick(this.nowMs);
      this.b.core.tick(this.nowMs);
      for (let round = 0; round < 10_000 && this.#step(); round++);
    }
  }

  /** The link stands at once; nothing arrives yet. */
  connectNow(): void {
    this.isCut = false;
    this.#step();
  }

  /** So many frames arrive, one after the other; no time passes. */
  frames(count: number): void {
    for (let left = count; left > 0; left--) {
      const [from, to] = this.a.sent.length > 0
        ? [this.a, this.b]
        : [this.b, this.a];
      const frame = from.sent.shift();
      if (frame !== undefined) {
        to.core.frame(frame);
        reuse(frame);
      }
      to.core.settle();
      this.a.work();
      this.b.work();
    }
  }

  /** A node's process is killed and comes back; its disk is as it was. */
  restart(node: TestNode): void {
    if (this.#isUp) this.#down();
    node.restart();
    node.core.tick(this.nowMs);
    node.core.disk.attach(node.disk(), () => {});
    this.connect(node);
  }

  /**
   * Both nodes lose power and start anew; B's disk is not to be had. The link is
   * cut until {@linkcode mend}.
   *
   * @param left What A's metadata were when they were last written.
   */
  restartBoth(left: PersistentState = this.a.persistent): void {
    const { a, b } = this;
    this.isCut = true;
    this.run(1);
    a.persistent = left;
    b.restart();
    b.core.tick(this.nowMs);
    this.connect(b);
    this.restart(a);
  }

  #step(): boolean {
    const { a, b } = this;
    const closes = this.isCut || a.isLinkClosed || b.isLinkClosed;
    if (this.#isUp && closes) return this.#down();
    const waits = (node: TestNode) =>
      node.core.state.connection === "WFConnection";
    if (!this.#isUp && !this.isCut && waits(a) && waits(b)) return this.#link();
    const isMoved = [this.#deliver(a, b), this.#deliver(b, a)];
    return [...isMoved, a.work(), b.work()].some(Boolean);
  }

  #link(): boolean {
    this.#isUp = true;
    for (const node of [this.a, this.b]) {
      node.isLinkClosed = false;
      node.sent.length = 0;
    }
    this.a.core.link.linkUp({ resolveConflicts: true });
    this.b.core.link.linkUp({ resolveConflicts: false });
    return true;
  }

  #down(): boolean {
    this.#isUp = false;
    for (const node of [this.a, this.b]) {
      node.isLinkClosed = false;
      node.sent.length = 0;
      node.core.link.linkDown();
    }
    return true;
  }

  #deliver(from: TestNode, to: TestNode): boolean {
    const frames = from.sent.splice(0);
    for (const frame of frames) {
      if (this.#isUp) to.core.frame(frame);
      reuse(frame);
    }
    to.core.settle();
    return frames.length > 0;
  }
}

/** Write a block of 4 KiB at a Primary. Returns the answers, as they come. */
export function writeBlock(
  node: TestNode,
  value: number,
  offset = 0,
): boolean[] {
  const answers: boolean[] = [];
  const data = new Uint8Array(4096).fill(value);
  node.core.writes.write(offset, data, (ok) => answers.push(ok));
  return answers;
}

/** A pair of 1 MiB whose disks are equal; `a` is Primary. */
export function primaryPair(config: Partial<VolumeConfig> = {}): Pair {
  const pair = new Pair(1024 * 1024, config);
  pair.up();
  pair.a.core.roles.primary(true, () => {});
  pair.run();
  if (pair.a.core.state.peerDisk === "UpToDate") return pair;
  throw new Error("the disks are not equal");
}

/** Two equal nodes of 4 MiB; `a` is Primary by the register, in epoch 1. */
export function fencedPair(config: Partial<VolumeConfig> = {}): Pair {
  const pair = new Pair(4 * 1024 * 1024, { ...config, fencedByRegister: true });
  const { a } = pair;
  pair.up();
  a.core.roles.primary(true, () => {});
  pair.run(1);
  a.answer("done", 1); // promote
  pair.run();
  a.answer("done", 1); // grow
  pair.run(1);
  if (a.core.state.peerDisk === "UpToDate" && a.wishes.length === 0) {
    return pair;
  }
  throw new Error("the register does not have both");
}

function copied(frame: MirrorFrame): MirrorFrame {
  if ("payload" in frame) return { ...frame, payload: frame.payload.slice() };
  return "digest" in frame ? { ...frame, digest: frame.digest.slice() } : frame;
}

/** As the link does: other bytes come where those of the frame were. */
function reuse(frame: MirrorFrame): void {
  if ("payload" in frame) frame.payload.fill(0xee);
  if ("digest" in frame) frame.digest.fill(0xee);
}
