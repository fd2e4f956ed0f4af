/**
 * What must hold in every step of a pair (`mirror_pair.ts`), and the few
 * changes that all its events are made of.
 *
 * @module
 */

import type { Hardenings } from "../../node-agent/mirror/decisions/hardenings_core.ts";
import {
  type Lineage,
  otherSide,
  type Pair,
  type Side,
  withNode,
} from "./mirror_pair.ts";

/** A promise that did not hold. */
export class Broken extends Error {
  /** Which promise. */
  readonly promise: PairPromise;
  /** `detail` says where. */
  constructor(promise: PairPromise, detail: string) {
    super(`${promise}: ${detail}`);
    this.promise = promise;
  }
}

/** What the search watches for. */
export type PairPromise =
  /** Connected without a resync, or after one, means equal. */
  | "equal-when-connected"
  /** A partial resync covers every block that differs. */
  | "bitmap-superset"
  /** No answered write is overwritten, unless a person discarded it. */
  | "direction-safe"
  /** One source and one target, or nobody. */
  | "mirrored"
  /** Equal nodes are not called a split brain. */
  | "no-needless-split-brain";

/** One thing that may happen now. */
export interface PairEvent {
  readonly name: string;
  readonly run: () => Pair;
}

/** What a search explores, and under which rules. */
export interface Circumstances {
  readonly hardenings: Hardenings;
  /** A person may promote with `--force`. */
  readonly mayForce: boolean;
  /**
   * A node may crash between a new generation and the write that it is for:
   * then a split brain may be seen although no data differ.
   */
  readonly mayCrashBeforeWrite: boolean;
  /** A node may lose its disk for a while, and go on without it. */
  readonly mayLoseDisk: boolean;
  /** A Secondary's disk may have lost a write, which a verify finds. */
  readonly mayRot: boolean;
}

/** Both sides. */
export const SIDES = [0, 1] as const;

/** `A` or `B`. */
export function nameOf(side: Side): string {
  return side === 0 ? "A" : "B";
}

/** Put a whole block on one disk; what it was must be part of what it gets. */
export function overwrite(
  pair: Pair,
  side: Side,
  block: number,
  lineage: Lineage,
): Pair {
  const old = pair.nodes[side].blocks[block] ?? [];
  const lost = old.filter((write) =>
    pair.answered.has(write) && !lineage.includes(write)
  );
  if (lost.length > 0) {
    throw new Broken("direction-safe", `${lost.length} writes of one block`);
  }
  const blocks = pair.nodes[side].blocks.map((each, at) =>
    at === block ? lineage : each
  );
  return withNode(pair, side, { blocks });
}

/** Mark blocks on both sides. */
export function markBits(pair: Pair, mask: number): Pair {
  return SIDES.reduce(
    (now, side) => withNode(now, side, { bits: now.nodes[side].bits | mask }),
    pair,
  );
}

/** Blocks are in sync again, on both sides. */
export function clearBits(pair: Pair, mask: number): Pair {
  return SIDES.reduce(
    (now, side) => withNode(now, side, { bits: now.nodes[side].bits & ~mask }),
    pair,
  );
}

/** A person gives up what only `side` has. */
export function giveUp(pair: Pair, side: Side): Pair {
  const kept = new Set(pair.nodes[otherSide(side)].blocks.flat());
  return {
    ...pair,
    answered: new Set([...pair.answered].filter((write) => kept.has(write))),
  };
}
