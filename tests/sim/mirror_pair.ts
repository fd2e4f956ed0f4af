/**
 * Two nodes of a mirror as a small model: the real decisions of
 * `node-agent/mirror/decisions/`, and the simplest disks, bitmaps and link that
 * they can go wrong with. `mirror_search.ts` tries everything that can happen.
 *
 * A block is the list of writes that made it what it is, so "A has what B has"
 * is "B's list is part of A's". A crash keeps blocks, sets, saved bits and the
 * activity log, and loses bits in memory and the role. Protocol C.
 *
 * @module
 */

import type { GenerationSet } from "../../node-agent/mirror/decisions/generations_core.ts";
import type { Hardenings } from "../../node-agent/mirror/decisions/hardenings_core.ts";
import {
  beginGeneration,
  type GenerationEvent,
  needsNewGeneration,
} from "../../node-agent/mirror/decisions/uuid_core.ts";

/** Which of the two nodes. */
export type Side = 0 | 1;

/** Numbers of writes, oldest first. */
export type Lineage = readonly number[];

/** One node. */
export interface PairNode {
  readonly isUp: boolean;
  readonly isPrimary: boolean;
  readonly crashedPrimary: boolean;
  /** The disk is lost for now; what is on it stays as it was. */
  readonly isDetached: boolean;
  /** What the disk says of itself. */
  readonly disk: "Inconsistent" | "Outdated" | "UpToDate";
  readonly set: GenerationSet;
  /** One lineage per block. */
  readonly blocks: readonly Lineage[];
  /** Out-of-sync blocks in memory, as a mask; so are the next two. */
  readonly bits: number;
  /** … as last written to the disk. */
  readonly savedBits: number;
  /** Blocks in the activity log. */
  readonly log: number;
  /** The peer may have taken our current generation for its own. */
  readonly mayBeShared: boolean;
}

/** How far the link is; `from` is the sync source. */
export type PairLink =
  | { readonly phase: "down" }
  | { readonly phase: "connected" }
  | {
    /**
     * `bitmaps`: exchanged. `announced`: the source began, the target has not
     * heard. `syncing`. `target-done` and `source-done`: one side finished, and
     * the other does not know.
     */
    readonly phase:
      | "bitmaps"
      | "announced"
      | "syncing"
      | "target-done"
      | "source-done";
    readonly from: Side;
    /** The source's set, as told in the handshake. */
    readonly told: GenerationSet;
  };

/** Both nodes, the link, and what was promised. */
export interface Pair {
  readonly nodes: readonly [PairNode, PairNode];
  readonly link: PairLink;
  /** Writes that were answered and that nobody gave up. */
  readonly answered: ReadonlySet<number>;
}

/** The blocks of a model, as a mask. */
export function allBlocks(pair: Pair): number {
  return (1 << pair.nodes[0].blocks.length) - 1;
}

/** The other side. */
export function otherSide(side: Side): Side {
  return side === 0 ? 1 : 0;
}

/** A pair with changes to one node. */
export function withNode(
  pair: Pair,
  side: Side,
  change: Partial<PairNode>,
): Pair {
  const changed = { ...pair.nodes[side], ...change };
  const nodes = side === 0
    ? [changed, pair.nodes[1]] as const
    : [pair.nodes[0], changed] as const;
  return { ...pair, nodes };
}

/** A node whose blocks all carry one answered write. */
function syncedNode(blockCount: number, current: bigint): PairNode {
  return {
    isUp: true,
    isPrimary: false,
    crashedPrimary: false,
    isDetached: false,
    disk: "UpToDate",
    set: { current, bitmap: 0n, history: [0n, 0n] },
    blocks: Array.from({ length: blockCount }, (_, block) => [block]),
    bits: 0,
    savedBits: 0,
    log: 0,
    mayBeShared: true,
  };
}

/** Two nodes that are equal, connected and Secondary. */
export function syncedPair(blockCount: number): Pair {
  const node = syncedNode(blockCount, 16n);
  return {
    nodes: [node, node],
    link: { phase: "connected" },
    answered: new Set(node.blocks.flat()),
  };
}

/** Two nodes after `create-md`, not connected; their blocks are noise. */
export function createdPair(blockCount: number): Pair {
  const all = (1 << blockCount) - 1;
  const node = (first: number): PairNode => ({
    ...syncedNode(blockCount, 4n),
    disk: "Inconsistent",
    blocks: Array.from({ length: blockCount }, (_, block) => [first + block]),
    bits: all,
    savedBits: all,
  });
  return {
    nodes: [node(0), node(blockCount)],
    link: { phase: "down" },
    answered: new Set(),
  };
}

/** Blocks that differ, as a mask. */
export function differingBlocks({ nodes: [a, b] }: Pair): number {
  return a.blocks.reduce((mask, lineage, block) => {
    const theirs = b.blocks[block] ?? [];
    return sameLineage(lineage, theirs) ? mask : mask | (1 << block);
  }, 0);
}

function sameLineage(a: Lineage, b: Lineage): boolean {
  return a.length === b.length && a.every((write, at) => write === b[at]);
}

/** Begin a new generation on one side, if the rules ask for it. */
export function noteEvent(
  pair: Pair,
  side: Side,
  event: GenerationEvent,
  hardenings: Hardenings,
): Pair {
  const node = pair.nodes[side];
  const needed = needsNewGeneration({
    set: node.set,
    event,
    hasUnreplicatedWrites: node.bits !== 0,
    mayBeShared: node.mayBeShared,
  }, hardenings);
  return needed ? newGeneration(pair, side) : pair;
}

/** A new generation for one side, whatever the rules say. */
export function newGeneration(pair: Pair, side: Side): Pair {
  const { set, isPrimary } = pair.nodes[side];
  return withNode(pair, side, {
    set: beginGeneration(set, unusedGeneration(pair), isPrimary),
    mayBeShared: false,
  });
}

/** A generation that no set of the pair contains: "64 random bits". */
export function unusedGeneration(pair: Pair): bigint {
  const names = allGenerations(pair).map((each) => (each & BASE_MASK) >> 4n);
  return (names.reduce((max, each) => each > max ? each : max, 0n) + 1n) << 4n;
}

/** Low part of a generation: its name, without the offset of resyncs. */
export const BASE_MASK = (1n << 48n) - 1n;

/** Every identifier in the pair, in a fixed order. */
export function allGenerations({ nodes, link }: Pair): bigint[] {
  const sets = nodes.map((node) => node.set);
  if ("told" in link) sets.push(link.told);
  return sets.flatMap((set) => [set.current, set.bitmap, ...set.history]);
}

/** The link is lost; both sides notice. */
export function loseLink(pair: Pair, hardenings: Hardenings): Pair {
  if (pair.link.phase === "down") return pair;
  const lost: Pair = { ...pair, link: { phase: "down" } };
  return ([0, 1] as const).reduce((now, side) => {
    const node = now.nodes[side];
    if (!node.isUp || node.isDetached) return now;
    if (node.isPrimary) return noteEvent(now, side, "peer-lost", hardenings);
    return withNode(now, side, { savedBits: node.bits });
  }, lost);
}

/** A Primary without a disk writes on the peer's, which logs for it. */
function isSomebodysDisk({ nodes }: Pair, side: Side): boolean {
  const peer = nodes[otherSide(side)];
  return !nodes[side].isDetached && peer.isDetached && peer.isPrimary;
}

/** One disk is lost. Whoever is Primary beside it has lost a peer. */
export function loseDisk(pair: Pair, side: Side, hardenings: Hardenings): Pair {
  const node = pair.nodes[side];
  const detached = withNode(pair, side, {
    isDetached: true,
    crashedPrimary: node.crashedPrimary || node.isPrimary,
    bits: 0,
  });
  const peer = otherSide(side);
  return pair.nodes[peer].isPrimary
    ? noteEvent(detached, peer, "peer-lost", hardenings)
    : detached;
}

/** A disk comes back as it was left: the nodes must meet again. */
export function attachDisk(
  pair: Pair,
  side: Side,
  hardenings: Hardenings,
): Pair {
  return restart(loseLink(pair, hardenings), side);
}

/** One node stops without a word. */
export function crash(pair: Pair, side: Side, hardenings: Hardenings): Pair {
  const node = pair.nodes[side];
  const stopped = withNode(pair, side, {
    isUp: false,
    isPrimary: false,
    crashedPrimary: node.crashedPrimary || node.isPrimary ||
      isSomebodysDisk(pair, side),
    bits: 0,
  });
  return loseLink(stopped, hardenings);
}

/** One node starts again: the activity log of a Primary becomes bits. */
export function restart(pair: Pair, side: Side): Pair {
  const node = pair.nodes[side];
  const bits = node.savedBits | node.log;
  return withNode(pair, side, {
    isUp: true,
    isDetached: false,
    bits,
    savedBits: bits,
    log: 0,
    mayBeShared: true,
  });
}
