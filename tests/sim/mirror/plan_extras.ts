/**
 * What only some seeds have: disks that lie, rot, are lost or replaced, other
 * policies. Drawn from a stream of its own, so that it changes no other seed.
 *
 * @module
 */

import type { SplitBrainPolicies } from "../../../node-agent/mirror/decisions/split_brain_core.ts";
import { SPLIT_BRAIN_DEFAULTS } from "../../../node-agent/mirror/decisions/split_brain_core.ts";
import { Prng } from "../prng.ts";

/** Kinds of faults of a disk beyond an error, with what their fields mean. */
export const DISK_LOSSES = [
  "bad-sector", // block `n` of `a` cannot be read until it is written
  "bit-rot", // a piece of block `n` of `a` changes
  "lose-bitmap", // the bitmap of `a` cannot be read at the next attach
  "wipe", // the process of `a` dies, is back after `ms` with a new disk
] as const;
/** Kind of such a fault. */
export type DiskLossKind = typeof DISK_LOSSES[number];

/** A fault of a disk. */
export interface DiskLoss {
  readonly atMs: number;
  readonly kind: DiskLossKind;
  readonly a: 0 | 1;
  readonly ms: number;
  readonly n: number;
}

/** See the module comment. */
export interface PlanExtras {
  /** This node's disk says "flushed" and has not done it; -1: none. */
  readonly liar: number;
  readonly onIoError: "detach" | "pass_on";
  /** Who keeps the other one from serving, where no register does. */
  readonly fencing: "dont-care" | "resource-only" | "resource-and-stonith";
  readonly splitBrain: SplitBrainPolicies;
  readonly losses: readonly DiskLoss[];
  /** Every first write behind a flush is sent with the next one. */
  readonly flushesAhead: boolean;
}

/** Most seeds: nothing of it. */
export const NO_EXTRAS: PlanExtras = {
  liar: -1,
  onIoError: "detach",
  fencing: "dont-care",
  splitBrain: SPLIT_BRAIN_DEFAULTS,
  losses: [],
  flushesAhead: false,
};

/** How many of these seeds have `on-io-error pass_on`. */
const PASS_ON_SHARE = 0.15;

/** Draw what a seed has of it: two seeds in three have nothing. */
export function drawExtras(
  seed: number,
  where: {
    readonly workMs: number;
    readonly isFenced: boolean;
    readonly protocol: string;
  },
): PlanExtras {
  const rng = new Prng(seed, 120);
  if (rng.chance(0.66)) return NO_EXTRAS;
  const hasPolicies = !where.isFenced && rng.chance(0.4);
  const hasHandler = !where.isFenced && !hasPolicies && rng.chance(0.5);
  return {
    liar: rng.chance(0.2) ? rng.between(0, 1) : -1,
    onIoError: rng.chance(PASS_ON_SHARE) ? "pass_on" : "detach",
    fencing: !hasHandler
      ? "dont-care"
      : where.protocol === "A"
      ? "resource-only"
      : rng.pick(["resource-only", "resource-and-stonith"]),
    splitBrain: hasPolicies ? drawPolicies(rng) : SPLIT_BRAIN_DEFAULTS,
    losses: drawLosses(rng, where.workMs),
    flushesAhead: rng.chance(0.5),
  };
}

function drawPolicies(rng: Prng): SplitBrainPolicies {
  return {
    afterSb0pri: rng.pick([
      "disconnect",
      "discard-younger-primary",
      "discard-older-primary",
      "discard-zero-changes",
      "discard-zero-changes",
      "discard-least-changes",
    ]),
    afterSb1pri: rng.pick([
      "disconnect",
      "consensus",
      "discard-secondary",
      "call-pri-lost-after-sb",
    ]),
    afterSb2pri: rng.pick(["disconnect", "call-pri-lost-after-sb"]),
    alwaysAsbp: false,
    rrConflict: "disconnect",
  };
}

function drawLosses(rng: Prng, workMs: number): DiskLoss[] {
  const kinds = DISK_LOSSES.filter(() => rng.chance(0.35));
  if (kinds.length === 0) return [];
  const count = rng.between(1, 4);
  const losses = Array.from({ length: count }, (): DiskLoss => ({
    atMs: rng.between(50, workMs),
    kind: rng.pick(kinds),
    a: rng.chance(0.5) ? 0 : 1,
    ms: rng.between(5, 600),
    n: rng.between(0, rng.pick([1, 4, 63])),
  }));
  return losses.sort((x, y) => x.atMs - y.atMs);
}
