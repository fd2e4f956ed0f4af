/**
 * Rules of the mirror that the mutation check takes away, one at a time. Each
 * removal must be noticed within a budget of seeds, or the simulator has
 * rotted.
 *
 * @module
 */

import { HARDENED } from "../../../node-agent/mirror/decisions/hardenings_core.ts";
import { core, type MirrorMutant, quiet } from "./mutant.ts";
import { DISK_MUTANTS } from "./mutants_of_disks.ts";
import type { MirrorPlan } from "./plan.ts";

/** A core whose getter says always the same. */
function always(object: object, name: string, value: unknown): void {
  Object.defineProperty(object, name, { get: () => value });
}

/** A Primary that is cut off, and asked for much. */
const LEASE_PLAN: Partial<MirrorPlan> = {
  isFenced: true,
  blocks: 16,
  hotBlocks: 16,
  readShare: 0.93,
  flushShare: 0,
  thinkMs: 8,
  workMs: 4_000,
  protocol: "C",
  clients: 3,
  depth: 4,
  startsNew: false,
  registerLoss: 0,
  operator: quiet({ everyMs: 60 }),
  faults: [
    { atMs: 1_500, kind: "cut", a: 0, ms: 5_000, n: 0 },
    { atMs: 1_500, kind: "no-register", a: 0, ms: 5_000, n: 0 },
  ],
};

/**
 * A Primary that was cut off meets its successor while the register's answer to
 * that one is on its way: it serves under the epoch before.
 */
const LATE_ROLE: Partial<MirrorPlan> = {
  isFenced: true,
  protocol: "C",
  startsNew: false,
  registerLoss: 0,
  workMs: 6_500,
  netMs: 15,
  thinkMs: 8,
  readShare: 0.2,
  growth: undefined,
  hangs: undefined,
  stuck: undefined,
  losses: [],
  operator: quiet({ everyMs: 30 }),
  faults: [
    { atMs: 1_500, kind: "cut", a: 0, ms: 4_500, n: 0 },
    { atMs: 1_500, kind: "register-down", a: 0, ms: 4_450, n: 0 },
    { atMs: 1_500, kind: "no-register", a: 0, ms: 7_000, n: 0 },
  ],
};

/** A line that is often full. */
const AHEAD: Partial<MirrorPlan> = {
  protocol: "A",
  fencing: "dont-care",
  onCongestion: "pull-ahead",
  congestionFillBytes: 8192,
  netMs: 15,
  thinkMs: 8,
};

/** Every rule once. */
export const MIRROR_MUTANTS: readonly MirrorMutant[] = [
  {
    name: "a new generation begins with the first write that the peer lacks",
    sabotage: core(({ generations }) => {
      generations.beforeUnseenWrite = () => true;
      generations.peerMissesWrites = () => {};
    }),
  },
  {
    name: "a new generation begins when writes on their way are lost",
    sabotage: core(({ generations }) => {
      generations.peerMissesWrites = () => {};
    }),
    plan: { protocol: "B", maxEpochWrites: 2_048 },
  },
  {
    name: "an extent is in the log before its first write",
    sabotage: core(({ log }) => {
      log.acquire = () => true;
    }),
  },
  {
    name: "the bitmap is saved before an extent leaves the log",
    sabotage: core((volume) => {
      volume.saveBitmapOf = () => true;
    }),
    plan: { alExtents: 3 },
  },
  {
    name: "an extent stays in the log until it is stable on both disks",
    sabotage: core(({ log }) => {
      const { acquire, release } = log;
      log.acquire = (offset, lengthBytes) => {
        const is = acquire.call(log, offset, lengthBytes);
        if (is) release.call(log, offset, lengthBytes);
        return is;
      };
      log.release = () => {};
    }),
    plan: { alExtents: 3 },
  },
  {
    name: "writes that are not stable at a lost peer are marked",
    sabotage: core(({ writes }) => {
      const { transfers } = writes;
      const { unstable } = transfers;
      writes.peerLost = () => {
        transfers.unstable = () => [];
        writes.constructor.prototype.peerLost.call(writes);
        transfers.unstable = unstable;
      };
    }),
  },
  {
    name: "the target of a resync is no good copy on disk before it begins",
    sabotage: {
      losesStates: (before, after) =>
        before.includes('"wasUpToDate":true') &&
        after.includes('"wasUpToDate":false'),
    },
  },
  {
    name: "bits are cleared when blocks are stable",
    sabotage: core(({ flusher }) => {
      flusher.request = (done) => done(true);
    }),
  },
  {
    name: "a source is stable itself before it clears bits",
    sabotage: core(({ source, flusher }) => {
      const { begin } = source;
      // Nor is anything flushed before the report (peer_link_core.ts).
      Object.defineProperty(flusher, "isStable", { get: () => true });
      source.begin = (told) => {
        const { request } = flusher;
        flusher.request = (done) => done(true);
        begin.call(source, told);
        flusher.request = request;
      };
    }),
    plan: {
      // B has writes of A that nobody flushed, is source, and loses power.
      protocol: "C",
      flushShare: 0,
      maxEpochWrites: 2_048,
      isFenced: false,
      startsNew: false,
      workMs: 2_500,
      operator: quiet({}),
      faults: [
        { atMs: 1_000, kind: "kill", a: 0, ms: 50, n: 0 },
        { atMs: 1_500, kind: "power", a: 1, ms: 200, n: 0 },
      ],
    },
  },
  {
    name: "a write supersedes a resync answer on its way",
    sabotage: core(({ target }) => {
      target.overwrites = () => {};
    }),
    plan: {
      operator: quiet({ detach: 0.3 }),
      isFenced: false,
      hotBlocks: 5,
      thinkMs: 8,
      netMs: 15,
    },
  },
  {
    name: "what was received is applied before a promotion",
    sabotage: core(({ roles, replica, flusher }) => {
      roles.whenQuiet = (next) => {
        const said = { configurable: true, get: () => true };
        Object.defineProperty(replica, "isDrained", said);
        Object.defineProperty(flusher, "isStable", said);
        next();
        Reflect.deleteProperty(replica, "isDrained");
        Reflect.deleteProperty(flusher, "isStable");
      };
    }),
    plan: {
      protocol: "B",
      isFenced: true,
      flushShare: 0.3,
      flushMs: 25,
      thinkMs: 8,
      operator: quiet({}),
      registerLoss: 0,
      faults: [
        { atMs: 1_000, kind: "slow-disk", a: 0, ms: 6_000, n: 0 },
        { atMs: 1_000, kind: "slow-disk", a: 1, ms: 6_000, n: 0 },
        { atMs: 1_500, kind: "pause", a: 0, ms: 3_500, n: 0 },
      ],
    },
  },
  {
    name: "nothing is answered before the register shrinks",
    sabotage: core(({ fence }) => {
      fence.mayAnswer = fence.mayWrite = () => true;
      Object.defineProperty(fence, "mustBeOnBoth", { get: () => false });
    }),
    plan: { isFenced: true },
  },
  {
    name: "fencing by epoch: what a replaced Primary sends is refused",
    sabotage: core(({ fence }) => {
      fence.heard = () => true;
    }),
    plan: LATE_ROLE,
  },
  {
    name: "nothing is answered before a lost disk has left the register",
    sabotage: core(({ fence }) => {
      fence.diskLost = () => {};
    }),
    plan: {
      isFenced: true,
      protocol: "C",
      startsNew: false,
      operator: quiet({ detach: 0.3 }),
    },
  },
  {
    name: "a read waits for writes under way",
    sabotage: core(({ writes }) => {
      writes.busy.touches = () => false;
    }),
    plan: { hotBlocks: 2, thinkMs: 8, readShare: 0.4 },
  },
  {
    name: "reads need a lease",
    sabotage: core(({ fence }) => {
      fence.mayRead = () => true;
    }),
    plan: LEASE_PLAN,
  },
  {
    name: "blocks that differ are copied although generations are equal",
    sabotage: core((volume) => {
      volume.config = {
        ...volume.config,
        hardenings: { ...HARDENED, neverDropBits: false },
      };
    }),
  },
  {
    name: "the node that stayed up is source after a crash",
    sabotage: core((volume) => {
      volume.config = {
        ...volume.config,
        hardenings: { ...HARDENED, survivorBreaksTies: false },
      };
    }),
    plan: { isFenced: true, protocol: "C" },
  },
  {
    name: "a copy on a disk that is not good is no copy",
    sabotage: core((volume) => {
      always(volume.disk, "isExposedData", true);
      volume.disk.expose = () => {};
    }),
    plan: { operator: quiet({ detach: 0.2 }) },
  },
  {
    name: "what only a Secondary has is marked on its disk",
    sabotage: core((volume) => {
      const { receive } = volume.replica;
      volume.replica.receive = (frame) => {
        const { bitmap } = volume;
        volume.bitmap = undefined;
        receive.call(volume.replica, frame);
        volume.bitmap = bitmap;
      };
    }),
    plan: { operator: quiet({ detach: 0.2 }) },
  },
  {
    name: "a resync answer keeps its place among waiting writes",
    sabotage: core(({ replica }) => {
      replica.inOrder = (frame, run) => run(frame);
    }),
    plan: {
      protocol: "B",
      operator: quiet({ detach: 0.2 }),
      flushShare: 0.3,
      flushMs: 25,
    },
  },
  {
    name: "nothing behind a barrier is written before it is stable",
    sabotage: core(({ effects }) => {
      const { send } = effects;
      effects.send = (frame) =>
        send(frame.kind === "flush" ? { ...frame, barrier: false } : frame);
    }),
    plan: { protocol: "A", flushShare: 0.3, flushMs: 25, thinkMs: 8 },
  },
  {
    name: "a flush that was sent ahead covers nothing behind it",
    sabotage: core(({ effects, writes }) => {
      const { send } = effects;
      let flushed = 0;
      effects.send = (frame) => {
        if (frame.kind === "flush") flushed = frame.sequence;
        send(frame);
      };
      Object.defineProperty(writes.sent, "last", { get: () => flushed });
    }),
    plan: { protocol: "C", flushShare: 0.3, thinkMs: 8, flushesAhead: true },
  },
  {
    name: "a Primary that runs ahead names what it does not send",
    sabotage: core(({ congestion }) => {
      congestion.tells = () => false;
    }),
    plan: AHEAD,
  },
  {
    name: "a Secondary applies writes in the order of the stream",
    sabotage: core((volume) => {
      const { writeLocally } = volume;
      let late: (() => void) | undefined;
      volume.writeLocally = (offset, lengthBytes, piece) => {
        const write = (what = piece) =>
          writeLocally.call(volume, offset, lengthBytes, what);
        if (volume.state.role === "Primary" || volume.replica.isDrained) {
          return write();
        }
        const data = piece.data?.slice();
        const before = late;
        late = () => void write({ ...piece, data });
        before?.();
        return true;
      };
    }),
    plan: { protocol: "B", flushShare: 0.3, flushMs: 25, thinkMs: 8 },
  },
  {
    name: "a promotion is won in the register",
    sabotage: core(({ fence }) => {
      fence.promote = (_force, done) => done({ outcome: "done", epoch: 0 });
    }),
    plan: { isFenced: true, startsNew: false },
  },
  {
    name: "what protocol A has answered may be on its way",
    sabotage: { trustsA: true },
    plan: { protocol: "A", isFenced: true },
  },
  {
    name: "a disk does what it says about a flush",
    sabotage: { bothLie: true },
    plan: { protocol: "C", isFenced: true, flushShare: 0.3 },
  },
  {
    name: "a restarted node waits for what it may have promised",
    sabotage: core((volume) => {
      volume.tick(-1e7); // long before it was started
    }),
    plan: {
      ...LEASE_PLAN,
      faults: [
        ...LEASE_PLAN.faults ?? [],
        { atMs: 1_520, kind: "kill", a: 1, ms: 20, n: 0 },
      ],
    },
  },
  {
    name: "clocks drift by no more than 2 %",
    sabotage: {},
    plan: LEASE_PLAN,
    beyond: { clocks: [0.7, 1.3] },
  },
  ...DISK_MUTANTS,
];
