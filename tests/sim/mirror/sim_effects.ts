/**
 * What a core does to the world, on a simulated node. A crash or an error may
 * come at any call.
 *
 * @module
 */

import type { MirrorFrame } from "@kedge/schema/wire/mirror";
import type { VolumeEffects } from "../../../node-agent/mirror/core/volume_types.ts";
import { fencePeer } from "./fence_handler.ts";
import { Crash, type SimNode } from "./sim_node.ts";
import { doubtUnflushed } from "./lost_writes.ts";
import { hangMs, wasInTime } from "./hangs.ts";
import { scrubEnded } from "./scrub.ts";
import { contentOf, overwrite } from "./watch_writes.ts";
import { memberOf } from "./sim_register.ts";
import { other, PIECE_BYTES, PIECES_PER_BLOCK } from "./world.ts";

const BLOCK_BYTES = PIECE_BYTES * PIECES_PER_BLOCK;

/** Odd and large: one lane of a digest each. */
const PRIMES = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f];

/** The effects of one process of a node. */
export function effectsOf(node: SimNode): VolumeEffects {
  const { world, disk, rng } = node;
  const { scheduler, plan } = world;
  /** One chance to crash; done or not done is drawn. */
  const { process } = node;
  /** A callback in this very call may have ended it. */
  const mustLive = () => {
    if (node.process !== process) throw new Crash(false);
  };
  const step = <T>(work: () => T): T => {
    mustLive();
    const armed = node.crashIn;
    if (armed === undefined || armed.left-- > 0) return work();
    node.crashIn = undefined;
    if (rng.chance(0.5)) work();
    throw new Crash(armed.isPowerLoss);
  };
  const mustBeAttached = (what: string) => {
    mustLive();
    if (!node.isAttached) world.fail("effects", `${what} without a disk`);
  };
  const mustBeData = (behindByte: number) => {
    if (behindByte <= disk.laidOutBytes) return;
    world.fail("effects", `byte ${behindByte - 1} belongs to the metadata`);
  };
  const fails = (what: "write" | "read" | "flush" | "meta"): boolean => {
    const left = node.errorIn[what];
    if (left < 0) return false;
    node.errorIn[what] = left - 1;
    if (left > 0) return false;
    world.mark(`error: ${what}`);
    node.trace(`disk error: ${what}`);
    return true;
  };
  let exportedBytes = 0;
  let isFlushing = 0;
  let isCommitting = 0;
  return {
    canPunch: true,
    writeData: (offset, data) =>
      step(() => {
        mustBeAttached("write");
        mustBeData(offset + data.length);
        const isFailing = fails("write");
        const count = data.length / PIECE_BYTES;
        const done = isFailing ? rng.between(0, count - 1) : count;
        for (let at = 0; at < done; at++) {
          const content = contentOf(data, at);
          overwrite(node, offset / PIECE_BYTES + at, content);
        }
        return wasInTime(node, "write") && !isFailing;
      }),
    zeroData: (offset, lengthBytes) =>
      step(() => {
        mustBeAttached("zero");
        mustBeData(offset + lengthBytes);
        if (fails("write")) return false;
        const count = lengthBytes / PIECE_BYTES;
        for (let at = 0; at < count; at++) {
          overwrite(node, offset / PIECE_BYTES + at, 0);
        }
        return wasInTime(node, "write");
      }),
    readData: (offset, into) => {
      mustBeAttached("read");
      mustBeData(offset + into.length);
      if (fails("read")) return false;
      const first = offset / PIECE_BYTES;
      const behind = first + into.length / PIECE_BYTES;
      if (disk.hasBadSector(first, behind)) {
        world.mark("bad sector found");
        return false;
      }
      if (world.taints.isAny && !isComparing(node)) {
        for (let at = first; at < behind; at++) world.taints.served(node, at);
      }
      const view = new DataView(into.buffer, into.byteOffset, into.length);
      for (let at = 0; at * PIECE_BYTES < into.length; at++) {
        const value = disk.cache[first + at] ?? 0;
        view.setUint32(at * PIECE_BYTES, value, true);
      }
      return true;
    },
    flushData: () =>
      step(() => {
        mustBeAttached("flush");
        if (isFlushing === node.attachment) {
          world.fail("effects", "two flushes at once");
        }
        isFlushing = node.attachment;
        const { attachment } = node;
        disk.beginFlush();
        const delayMs = hangMs(node, "flush") +
          rng.range(0.2, 2) * plan.flushMs * node.flushFactor;
        const flushing = { attachment, beganMs: node.nowMs() };
        node.flushing = flushing;
        const end = () => {
          if (node.flushing === flushing) node.flushing = undefined;
          if (node.attachment !== attachment) return;
          node.run((core) => {
            if (node.attachment !== attachment) return;
            isFlushing = 0;
            const ok = !fails("flush");
            disk.endFlush(ok);
            core.diskFlushed(ok);
          });
        };
        if (!world.stuck.takes(node, end)) scheduler.after(delayMs, end);
      }),
    commitLog: (changes) => {
      mustBeAttached("log");
      if (isCommitting === node.attachment) {
        world.fail("effects", "two log transactions at once");
      }
      isCommitting = node.attachment;
      const { attachment } = node;
      const ok = !fails("meta");
      world.mark("log transaction");
      if (world.trace !== undefined) {
        node.trace(`log: ${JSON.stringify(changes)}`);
      }
      if (changes.some(({ evicted }) => evicted !== 0xffff_ffff)) {
        world.mark("extent evicted");
      }
      // It may reach the disk although nobody lives to see it.
      const isEarly = rng.chance(0.5);
      const commit = () => {
        if (ok) disk.commitLog(changes);
      };
      if (isEarly) step(commit);
      scheduler.after(rng.range(0, 2), () => {
        if (node.attachment !== attachment) return;
        node.run((core) => {
          if (node.attachment !== attachment) return;
          if (!isEarly) step(commit);
          node.trace(`log: ${ok}`);
          isCommitting = 0;
          core.logCommitted(ok);
        });
      });
    },
    resetLog: () =>
      step(() => {
        mustBeAttached("log");
        if (fails("meta")) return false;
        disk.log = new Map();
        disk.isSuperblockRotten = false;
        disk.metaWritten();
        isCommitting = 0;
        return wasInTime(node, "meta");
      }),
    saveState: (state) =>
      step(() => {
        mustBeAttached("superblock");
        if (fails("meta")) return false;
        if (state.epoch < disk.state.epoch) {
          world.fail("I2", `epoch ${disk.state.epoch} -> ${state.epoch}`);
        }
        mustBeData(state.agreedBytes);
        if (state.agreedBytes < disk.state.agreedBytes) {
          world.fail("size", `${state.agreedBytes} bytes is less than before`);
        }
        const before = JSON.stringify(disk.state.flags);
        const isLost = world.sabotage.losesStates?.(
          before,
          JSON.stringify(state.flags),
        );
        if (!isLost) disk.state = state;
        disk.isSuperblockRotten = false;
        disk.metaWritten();
        return wasInTime(node, "meta");
      }),
    usableBytes: () => node.isAttached ? disk.sizeBytes : undefined,
    useWholeDisk: () =>
      !node.isAttached || step(() => {
        if (fails("meta")) return false;
        disk.laidOut = disk.room;
        return wasInTime(node, "meta");
      }),
    sizeChanged: (sizeBytes) => {
      node.trace(`the volume has ${sizeBytes / BLOCK_BYTES} blocks`);
      const isServed = node.core?.state.role === "Primary";
      if (isServed && sizeBytes < exportedBytes) {
        world.fail("size", `${exportedBytes} -> ${sizeBytes} bytes`);
      }
      exportedBytes = sizeBytes;
    },
    saveBitmap: (bytes) =>
      step(() => {
        mustBeAttached("bitmap");
        if (fails("meta")) {
          disk.saveBitmap(bytes, () => rng.chance(0.5));
          return false;
        }
        const armed = node.crashIn;
        const isTorn = armed !== undefined && armed.left < 0;
        disk.saveBitmap(bytes, () => !isTorn || rng.chance(0.5));
        return wasInTime(node, "meta");
      }),
    detachDisk: (isClean) =>
      step(() => {
        node.trace(`detaches${isClean ? "" : ", not clean"}`);
        node.isAttached = false;
        node.attachment++;
        if (isClean) disk.log = undefined;
        else doubtUnflushed(node);
        disk.isSuperblockRotten &&= !isClean;
        disk.metaWritten();
        disk.processDied();
        world.mark("detached");
      }),
    send: (frame) =>
      step(() => {
        if (node.side !== undefined) node.out.push(copied(frame));
      }),
    queuedBytes: () => {
      let bytes = node.side?.queuedBytes ?? 0;
      for (const frame of node.out) {
        bytes += "payload" in frame ? frame.payload.length : 0;
      }
      return bytes;
    },
    closeLink: (why) => {
      node.trace(`closes the link: ${why}`);
      node.closing = why;
    },
    seekPeer: (seek) => {
      node.seeks = seek && node.side === undefined;
    },
    runHelper: (name, id) => {
      world.mark(`helper ${name}`);
      if (name === "initial-split-brain") node.isDivided = true;
      if (name === "fence-peer") {
        const { process } = node;
        return fencePeer(node, (code) => {
          if (node.process !== process) return;
          node.run((core) => core.helperDone(id, code));
        });
      }
      scheduler.after(1, () => node.run((core) => core.helperDone(id, 0)));
    },
    changeRegister: (change, id) => {
      const { process } = node;
      const me = memberOf(node.id, node.bootName(), node.diskNumber);
      const { peerBoot } = node;
      const peer = peerBoot === undefined ? undefined : memberOf(
        other(node.id),
        node.bootName(peerBoot.boot, peerBoot.process),
        peerBoot.disk,
      );
      node.trace(`register: ${change.kind}`);
      world.register.ask(me, peer, change, (answer) => {
        if (node.process !== process) return;
        world.mark(`register: ${change.kind} ${answer.outcome}`);
        node.trace(`register: ${change.kind} ${answer.outcome}`);
        node.run((core) => core.fence.registerChanged(id, answer));
      });
    },
    stateChanged: (before, after) => node.changed(before, after),
    keepUndo: (keep) => {
      if (keep) world.mark("undo kept");
    },
    digest: (_algorithm, bytes) => digestOf(bytes),
    random64: () =>
      BigInt(rng.between(0x1000, 0xffff_ffff)) << 16n |
      BigInt(rng.between(0, 0xffff)),
    log: (level, text) => {
      node.trace(`${level}: ${text}`);
      if (text.endsWith("connection dropped")) {
        world.lastDrop = scheduler.nowMs;
        world.mark("connection dropped");
        world.areUnrelated = text.startsWith("Unrelated data");
      }
      if (text.startsWith("Online verify done")) scrubEnded(node);
      if (text.startsWith("Split-Brain")) world.mark("split brain found");
      if (text.startsWith("Protocol error")) {
        world.fail("no protocol error", text);
      }
    },
  };
}

/** What is read now is compared, and goes nowhere. */
function isComparing({ core }: SimNode): boolean {
  const connection = core?.state.connection;
  return connection === "VerifyS" || connection === "VerifyT" ||
    connection === "SyncTarget";
}

/** Sixteen bytes, as a real one of few: pieces hold 32 bits each. */
function digestOf(bytes: Uint8Array): Uint8Array {
  const lanes = Uint32Array.of(1, 2, 3, 4);
  for (let at = 0; at * PIECE_BYTES < bytes.length; at++) {
    const content = contentOf(bytes, at);
    for (let lane = 0; lane < lanes.length; lane++) {
      const mixed = Math.imul((lanes[lane] ?? 0) ^ content, PRIMES[lane] ?? 1);
      lanes[lane] = mixed ^ (mixed >>> 15);
    }
  }
  return new Uint8Array(lanes.buffer);
}

function copied(frame: MirrorFrame): MirrorFrame {
  return "payload" in frame
    ? { ...frame, payload: frame.payload.slice() }
    : frame;
}
