/**
 * What a simulated run of a mirrored volume is made of, as data: so that a
 * failing run can be printed, and fast-check can take faults away.
 *
 * @module
 */

import { Prng } from "../prng.ts";
import { drawGrowth, type Growth } from "./growth.ts";
import { drawHangs, type Hangs } from "./hangs.ts";
import { drawStuck, type Stuck } from "./stuck.ts";
import { drawMetaLiar } from "./lying_meta.ts";
import { drawMetaRots, type MetaRot } from "./meta_rot.ts";
import { drawExtras, type PlanExtras } from "./plan_extras.ts";

/** Kinds of faults, with what their fields mean. */
export const MIRROR_FAULTS = [
  "kill", // process of `a` dies, back after `ms`
  "power", // machine of `a` loses power, back after `ms`
  "power-both", // both machines do, back after `ms` and about as much
  "kill-at", // process of `a` dies at its `n`-th effect from now on
  "power-at", // its machine loses power there
  "pause", // process of `a` stands still for `ms`
  "cut", // nothing goes through for `ms`
  "one-way", // nothing from `a` to the other for `ms`
  "reset", // the connection breaks
  "clog", // messages take long for `ms`
  "slow-disk", // flushes of `a` take long for `ms`
  "eio-write", // the `n`-th data write of `a` from now on fails
  "eio-read", // … read
  "eio-flush", // … flush
  "eio-meta", // … metadata write
  "no-register", // `a` does not reach the register for `ms`
  "register-down", // nobody does
] as const;
/** Kind of a fault. */
export type MirrorFaultKind = typeof MIRROR_FAULTS[number];

/** One fault. */
export interface MirrorFault {
  readonly atMs: number;
  readonly kind: MirrorFaultKind;
  readonly a: 0 | 1;
  readonly ms: number;
  readonly n: number;
}

/** What people do while faults happen; rates are per decision, 0 to 1. */
export interface OperatorPlan {
  /** Mean time between two decisions, in ms. */
  readonly everyMs: number;
  /** Promote a node although another one may be Primary elsewhere. */
  readonly split: number;
  readonly force: number;
  readonly demote: number;
  readonly disconnect: number;
  readonly invalidate: number;
  readonly verify: number;
  readonly pause: number;
  readonly detach: number;
  readonly outdate: number;
  readonly suspend: number;
}

/** Somebody changes options of a node that runs. */
export interface OptionChange {
  readonly atMs: number;
  readonly a: 0 | 1;
  readonly alExtents: number;
}

/** Everything about a run that is not an event. */
export interface MirrorPlan extends PlanExtras {
  readonly protocol: "A" | "B" | "C";
  /** Roles by the register in the KV; otherwise by people. */
  readonly isFenced: boolean;
  readonly blocks: number;
  readonly extentBlocks: number;
  readonly alExtents: number;
  readonly maxEpochWrites: number;
  readonly onNoData: "io-error" | "suspend-io";
  readonly hasChecksums: boolean;
  readonly onCongestion: "block" | "pull-ahead" | "disconnect";
  readonly congestionFillBytes: number;
  readonly congestionExtents: number;
  /** New volumes without data, or a pair that is equal. */
  readonly startsNew: boolean;
  readonly workMs: number;
  readonly clients: number;
  readonly depth: number;
  readonly thinkMs: number;
  /** Most operations go to so many blocks. */
  readonly hotBlocks: number;
  readonly readShare: number;
  readonly flushShare: number;
  readonly zeroShare: number;
  /** One way through the network, in ms. */
  readonly netMs: number;
  readonly flushMs: number;
  /** Rate of the nodes' clocks. */
  readonly clocks: readonly [number, number];
  readonly registerLoss: number;
  readonly operator: OperatorPlan;
  readonly optionChanges: readonly OptionChange[];
  readonly faults: readonly MirrorFault[];
  /** The volume begins smaller and grows; missing: it has its size for ever. */
  readonly growth?: Growth | undefined;
  /** Disks hang, and are not waited for; missing: none does. */
  readonly hangs?: Hangs | undefined;
  /** This node's disk lies about its metadata, too; -1: none does. */
  readonly metaLiar: number;
  readonly metaRots: readonly MetaRot[];
  /** A flush does not end, and nobody gives its disk up; missing: all end. */
  readonly stuck?: Stuck | undefined;
}

const NETWORK: readonly MirrorFaultKind[] = [
  "cut",
  "cut",
  "one-way",
  "reset",
  "reset",
  "clog",
];
const PROCESS: readonly MirrorFaultKind[] = [
  "kill",
  "kill",
  "kill-at",
  "kill-at",
  "pause",
  "slow-disk",
];
const POWER: readonly MirrorFaultKind[] = ["power", "power-at", "power-both"];
const DISK: readonly MirrorFaultKind[] = [
  "eio-write",
  "eio-read",
  "eio-flush",
  "eio-meta",
];
const REGISTER: readonly MirrorFaultKind[] = ["no-register", "register-down"];

/** Draw the whole plan of a seed. */
export function drawPlan(seed: number): MirrorPlan {
  const rng = new Prng(seed, 101);
  const isFenced = rng.chance(0.5);
  const protocol = rng.chance(0.65) ? "C" : rng.chance(0.7) ? "B" : "A";
  const options = new Prng(seed, 103);
  const workMs = rng.between(1000, 3500);
  const flushMs = rng.pick([1, 4, 25]);
  const hangs = drawHangs(seed, workMs);
  const blocks = rng.pick([8, 16, 33, 64]);
  const growth = drawGrowth(seed, { blocks, workMs });
  const extras = drawExtras(seed, { workMs, isFenced, protocol });
  // Who lies about one disk is survived by C, and sizes are for another day.
  const isHeld = protocol === "C" && growth === undefined;
  const metaLiar = isHeld ? drawMetaLiar(seed, extras.liar) : -1;
  const plan: Omit<MirrorPlan, "metaRots"> = {
    protocol,
    isFenced,
    blocks,
    extentBlocks: rng.pick([1, 2, 4]),
    alExtents: rng.pick([3, 4, 7, 67]),
    maxEpochWrites: rng.pick([2, 8, 2048]),
    onNoData: rng.chance(0.3) ? "suspend-io" : "io-error",
    hasChecksums: rng.chance(0.2),
    onCongestion: rng.pick(["block", "block", "pull-ahead", "disconnect"]),
    congestionFillBytes: rng.pick([8192, 40_000]),
    congestionExtents: options.pick([2, 4, 1237]),
    startsNew: rng.chance(0.15),
    workMs,
    clients: rng.between(1, 3),
    depth: rng.pick([1, 1, 4]),
    thinkMs: rng.pick([8, 30, 120]),
    hotBlocks: rng.pick([2, 5, 64]),
    readShare: rng.pick([0.1, 0.4]),
    flushShare: rng.pick([0, 0.05, 0.3]),
    zeroShare: rng.pick([0, 0.1]),
    netMs: rng.pick([0.3, 2, 15]),
    flushMs,
    clocks: rng.chance(0.5)
      ? [1, 1]
      : [rng.range(0.991, 1.009), rng.range(0.991, 1.009)],
    registerLoss: rng.chance(0.5) ? 0 : rng.range(0, 0.3),
    operator: drawOperator(rng),
    optionChanges: drawOptionChanges(options, workMs),
    faults: drawFaults(rng, { workMs, isFenced }),
    ...extras,
    growth,
    metaLiar,
    hangs,
    stuck: hangs === undefined ? drawStuck(seed, workMs) : undefined,
  };
  const metaRots = growth === undefined ? drawMetaRots(seed, plan) : [];
  return { ...plan, metaRots };
}

/** Drawn apart, so that the rest of a run does not depend on it. */
function drawOptionChanges(rng: Prng, workMs: number): OptionChange[] {
  const count = rng.chance(0.3) ? rng.between(1, 6) : 0;
  return Array.from({ length: count }, () => ({
    atMs: rng.between(50, workMs),
    a: rng.chance(0.5) ? 0 : 1,
    alExtents: rng.pick([3, 5, 7]),
  }));
}

function drawOperator(rng: Prng): OperatorPlan {
  const some = (chance: number, rate: number) => rng.chance(chance) ? rate : 0;
  return {
    everyMs: rng.pick([60, 200, 700]),
    split: some(0.5, 0.15),
    force: some(0.25, 0.05),
    demote: some(0.4, 0.1),
    disconnect: some(0.3, 0.08),
    invalidate: some(0.2, 0.05),
    verify: some(0.25, 0.05),
    pause: some(0.25, 0.08),
    detach: some(0.25, 0.06),
    outdate: some(0.1, 0.05),
    suspend: some(0.15, 0.06),
  };
}

function drawFaults(
  rng: Prng,
  where: { readonly workMs: number; readonly isFenced: boolean },
): MirrorFault[] {
  const groups = [NETWORK, NETWORK, PROCESS, POWER, DISK];
  if (where.isFenced) groups.push(REGISTER);
  const kinds = groups.filter(() => rng.chance(0.5)).flat();
  const count = kinds.length === 0 ? 0 : rng.between(1, 9);
  const faults: MirrorFault[] = [];
  let last = 0;
  for (let i = 0; i < count; i++) {
    const follows = i > 0 && rng.chance(0.5);
    const atMs = follows
      ? Math.min(where.workMs, last + rng.between(1, rng.pick([20, 200, 1500])))
      : rng.between(50, where.workMs);
    last = atMs;
    faults.push({
      atMs,
      kind: rng.pick(kinds),
      a: rng.chance(0.5) ? 0 : 1,
      ms: Math.round(
        rng.chance(0.5) ? rng.range(2, 300) : rng.range(300, 3500),
      ),
      n: rng.between(0, rng.pick([3, 12, 40])),
    });
  }
  return faults.sort((x, y) => x.atMs - y.atMs);
}
