/**
 * Rules about what disks do wrong, and about their sizes, for the mutation
 * check.
 *
 * @module
 */

import { ALL_OF_IT } from "./growth.ts";
import { core, type MirrorMutant, quiet } from "./mutant.ts";
import type { MirrorPlan } from "./plan.ts";

/** Both disks are larger than the volume, and somebody says so. */
const GROWS: Partial<MirrorPlan> = {
  startsNew: false,
  blocks: 16,
  operator: quiet({}),
  growth: {
    firstBlocks: 6,
    rooms: [16, 16],
    isEqual: false,
    steps: [700, 900, 1_100].map((atMs) => ({ ...ALL_OF_IT, atMs })),
  },
};

/** A write that fails on either disk. */
const BAD_DISK: Partial<MirrorPlan> = {
  isFenced: false,
  startsNew: false,
  operator: quiet({}),
  faults: [
    { atMs: 700, kind: "eio-write", a: 0, ms: 0, n: 3 },
    { atMs: 700, kind: "eio-write", a: 1, ms: 0, n: 3 },
  ],
};

/** Flushes that take a second. */
const HANGS: MirrorPlan["hangs"] = {
  timeoutMs: 150,
  list: [600, 800, 1_000].map((atMs) => (
    { atMs, a: 0, kind: "flush", n: 0, ms: 1_000 } as const
  )),
};

/** Flushes of one node that do not end. */
const STUCK: Partial<MirrorPlan> = {
  protocol: "C",
  isFenced: false,
  startsNew: false,
  flushShare: 0.3,
  thinkMs: 8,
  operator: quiet({}),
  faults: [],
  hangs: undefined,
  stuck: { atMs: 500, a: 1, limitMs: 600 },
};

/** The Secondary loses what was only in its memory, and the Primary goes then. */
const LOST_MEMORY: Partial<MirrorPlan> = {
  isFenced: true,
  protocol: "B",
  startsNew: false,
  registerLoss: 0,
  workMs: 5_000,
  flushShare: 0,
  flushMs: 25,
  readShare: 0.2,
  thinkMs: 8,
  growth: undefined,
  hangs: undefined,
  stuck: undefined,
  losses: [],
  operator: quiet({ everyMs: 60 }),
  faults: [
    { atMs: 1_500, kind: "power", a: 1, ms: 400, n: 0 },
    { atMs: 1_501, kind: "kill", a: 0, ms: 6_000, n: 0 },
  ],
};

/** Every rule once. */
export const DISK_MUTANTS: readonly MirrorMutant[] = [
  {
    name: "a disk whose error was passed on lacks something",
    sabotage: core(({ disk }) => {
      disk.writeFailed = () => {};
    }),
    plan: { ...BAD_DISK, onIoError: "pass_on" },
  },
  {
    name: "a copy that is no longer good leaves the register first",
    sabotage: core(({ fence }) => {
      fence.copiesChanged = () => {};
    }),
    plan: { ...BAD_DISK, onIoError: "pass_on", isFenced: true, protocol: "C" },
  },
  {
    name: "before the register shrinks, only what is on both disks is answered",
    sabotage: core(({ fence }) => {
      Object.defineProperty(fence, "mustBeOnBoth", { get: () => false });
    }),
    plan: { isFenced: true, protocol: "C", registerLoss: 0.5 },
  },
  {
    name: "a machine that was started anew is not in sync",
    sabotage: { forgetsBoots: true },
    plan: LOST_MEMORY,
  },
  {
    name: "what is new on a disk that has grown is out of sync",
    sabotage: core(({ disk: { size } }) => {
      const { resizeTo } = size;
      size.resizeTo = (sizeBytes) => resizeTo.call(size, sizeBytes);
    }),
    plan: GROWS,
  },
  {
    name: "a flush that takes longer than disk-timeout has failed",
    sabotage: { trustsLateFlush: true },
    plan: { protocol: "C", flushShare: 0.3, hangs: HANGS, onIoError: "detach" },
  },
  {
    name: "a peer whose flush does not end is parted from",
    sabotage: core(({ writes: { sent } }) => {
      const none = { what: "a flush", isOpen: false, answered: 0 };
      Object.defineProperty(sent, "owedFlush", { get: () => none });
    }),
    plan: STUCK,
  },
  {
    name: "what nobody has waits for data, and is sent again",
    sabotage: core(({ writes }) => {
      writes.takeBack = () => {};
    }),
    plan: {
      onNoData: "suspend-io",
      onIoError: "detach",
      isFenced: false,
      protocol: "C",
      startsNew: false,
      operator: quiet({ detach: 0.1 }),
    },
  },
];
