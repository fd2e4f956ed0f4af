/**
 * What goes wrong in a run, as data: so that a failing run can be printed, and
 * fast-check can take faults away until only the needed ones are left.
 *
 * @module
 */

import { Prng } from "./prng.ts";
import { tellStory } from "./stories.ts";

/** Kinds of faults, with what their fields mean. */
export const FAULT_KINDS = [
  "kill", // process of `a` dies, back after `ms`
  "stop", // process of `a` stops cleanly, back after `ms`
  "pause", // process of `a` stands still for `ms`
  "power", // machine of `a` loses power, back after `ms`
  "power-all", // every machine loses power
  "wipe", // disk of `a` is replaced by an empty one
  "set-back", // `a` is stopped and copied; after `ms` the copy comes back
  "cut", // no message between `a` and `b` for `ms`
  "one-way", // no message from `a` to `b` for `ms`
  "isolate", // `a` reaches nobody, not even a tracker, for `ms`
  "no-tracker", // `a` does not reach a tracker for `ms`
  "flap", // the link of `a` and `b` comes and goes for `ms`
  "clog", // messages of `a` and `b` take long for `ms`
  "slow-disk", // the disk of `a` is slow for `ms`
  "disk-error", // the next write of `a` fails, and all after it
  "kv-outage", // no tracker answers for `ms`
  "kv-restore", // the KV is restored from an old copy
] as const;
/** Kind of a fault. */
export type FaultKind = typeof FAULT_KINDS[number];

/** One fault. */
export interface Fault {
  readonly atMs: number;
  readonly kind: FaultKind;
  /** Node, from 0; taken modulo the number of nodes. */
  readonly a: number;
  /** Another node, as an offset from `a`. */
  readonly b: number;
  readonly ms: number;
}

/** Everything random about a run that is not an event. */
export interface Config {
  readonly nodes: number;
  /** Members are all in sync at the start, or must join first. */
  readonly startsInSync: boolean;
  /** How long clients work and faults happen. */
  readonly workMs: number;
  /** Mean pause between operations of one client. */
  readonly thinkMs: number;
  readonly clients: number;
  /** Share of requests to a tracker that are lost, or whose answer is. */
  readonly kvLoss: number;
  /** Share that arrives long after its sender gave up. */
  readonly kvLate: number;
  /** Share of requests to a tracker that are carried out twice. */
  readonly kvTwice: number;
  /** Most records in one message: 1 makes batches minimal. */
  readonly batchMax: number;
  readonly ackTimeoutMs: number;
  readonly giveUpMs: number;
  readonly regrowDelayMs: number;
  /** A kill may count as "may have lost": the cautious shell. */
  readonly cautious: boolean;
  /** This node's disk says "flushed" without doing it; -1 is none. */
  readonly liar: number;
  /** Share of uploads too large to travel in the record. */
  readonly large: number;
  /** Share of appends, and how many recent files they go to. */
  readonly appends: number;
  readonly hotFiles: number;
  /** Tombstones are collected. */
  readonly collects: boolean;
  /** Old records are forgotten but for so many; `undefined` never. */
  readonly keepRecords: number | undefined;
  /** Records that are kept for a member that is away. */
  readonly lagRecordsMax: number;
  readonly faults: readonly Fault[];
}

/** Kinds that are drawn together: each swarm leaves some out. */
const GENTLE: readonly FaultKind[] = [
  "kill",
  "stop",
  "pause",
  "cut",
  "one-way",
  "isolate",
  "no-tracker",
  "flap",
  "clog",
  "slow-disk",
  "kv-outage",
  "disk-error",
];

/**
 * Draw the whole plan of a seed: a swarm, or one of the stories.
 *
 * @param story Index of the story to tell; missing leaves it to chance.
 */
export function drawConfig(seed: number, story?: number): Config {
  const rng = new Prng(seed, 1);
  const config = drawSwarm(rng);
  const tells = story !== undefined || rng.chance(0.35);
  return tells ? tellStory(config, new Prng(seed, 8), story) : config;
}

function drawSwarm(rng: Prng): Config {
  const nodes = rng.chance(0.45) ? 2 : 3;
  const workMs = rng.between(3000, 10_000);
  const kinds = GENTLE.filter(() => rng.chance(0.4));
  const theme = rng.next();
  const power = theme < 0.3;
  const powerAll = theme >= 0.3 && theme < 0.45;
  const wipe = theme >= 0.4 && theme < 0.6;
  const restore = theme >= 0.6 && theme < 0.66;
  const setBack = theme >= 0.66 && theme < 0.78;
  if (power) kinds.push("power", "power");
  if (powerAll) kinds.push("power-all");
  if (wipe) kinds.push("wipe", "wipe");
  if (restore) kinds.push("kv-restore");
  if (setBack) kinds.push("set-back", "set-back");
  const count = kinds.length === 0 ? 0 : rng.between(0, 12);
  // Faults hurt most together: many follow another one closely, on its node.
  const burst = rng.chance(0.6);
  const brief = rng.chance(0.4);
  const faults: Fault[] = [];
  let last = { atMs: 0, a: 0 };
  for (let i = 0; i < count; i++) {
    const follows = burst && i > 0 && rng.chance(0.6);
    const atMs = follows
      ? Math.min(workMs, last.atMs + rng.between(1, rng.pick([60, 600, 2500])))
      : rng.between(200, workMs);
    const a = follows && rng.chance(0.6) ? last.a : rng.between(0, nodes - 1);
    last = { atMs, a };
    const isBrief = rng.chance(brief ? 0.8 : 0.25);
    faults.push({
      atMs,
      kind: rng.pick(kinds),
      a,
      b: rng.between(1, 2),
      ms: Math.round(isBrief ? rng.range(10, 400) : rng.range(400, 6000)),
    });
  }
  faults.sort((x, y) => x.atMs - y.atMs);
  const eager = rng.chance(0.3);
  const liar = power && rng.chance(0.25) ? rng.between(0, nodes - 1) : -1;
  return {
    nodes,
    startsInSync: rng.chance(0.7),
    workMs,
    thinkMs: rng.pick([5, 20, 60, 150, 400]),
    clients: rng.between(1, 4),
    kvLoss: rng.chance(0.5) ? 0 : rng.range(0, 0.3),
    kvLate: rng.chance(0.6) ? 0 : rng.pick([0.05, 0.5]),
    kvTwice: rng.chance(0.7) ? 0 : rng.range(0, 0.5),
    batchMax: rng.chance(0.3) ? 1 : 16,
    ackTimeoutMs: eager ? rng.between(120, 400) : 1000,
    giveUpMs: eager ? rng.between(600, 2500) : 5000,
    regrowDelayMs: rng.chance(0.5) ? 500 : 3000,
    cautious: rng.chance(0.4),
    liar,
    large: rng.chance(0.5) ? 0 : 0.4,
    appends: rng.chance(0.6) ? 0.15 : 0.6,
    hotFiles: rng.chance(0.5) ? 40 : rng.between(1, 5),
    // A disk that loses what it called durable may hold a deleted file when
    // nobody has the tombstone any more: beyond the promise. So may a copy that
    // is older than the tombstones.
    collects: rng.chance(0.4) && liar < 0 && !setBack,
    faults,
    keepRecords: rng.chance(0.5) ? rng.pick([1, 4, 30]) : undefined,
    lagRecordsMax: rng.pick([1, 10, 60]),
  };
}
