/**
 * Every byte that a core puts on a disk passes here: nothing that somebody was
 * promised may be lost by it (B9, I12).
 *
 * @module
 */

import type { SimNode } from "./sim_node.ts";
import { other, PIECE_BYTES } from "./world.ts";

/** The number in the `at`-th piece of a buffer. */
export function contentOf(data: Uint8Array, at: number): number {
  const from = at * PIECE_BYTES;
  return ((data[from] ?? 0) | (data[from + 1] ?? 0) << 8 |
    (data[from + 2] ?? 0) << 16 | (data[from + 3] ?? 0) << 24) >>> 0;
}

/** Put a content into a piece of a node's disk. */
export function overwrite(node: SimNode, piece: number, content: number): void {
  const { disk, world } = node;
  const { lineage } = world;
  const before = world.taints.before(node, piece);
  const was = before ?? disk.cache[piece] ?? 0;
  const old = lineage.valueOf(piece, was);
  const value = lineage.valueOf(piece, content);
  if (old === undefined || value === undefined) {
    return world.fail(
      "I6",
      `piece ${piece}: content ${content} was never written`,
    );
  }
  node.received.applied(value, piece);
  if (world.trace !== undefined && piece === world.watched) {
    node.trace(`piece ${piece}: ${old} -> ${value}`);
  }
  disk.write(piece, content);
  world.taints.wrote(node, piece);
  if (old === value) return;
  const isGood = node.core?.state.disk === "UpToDate";
  const isNew = !lineage.isKnown(piece, value);
  const isWhole = isGood && before === undefined;
  lineage.born(piece, value, isWhole ? old : predecessor(node, piece, old));
  if (!isGood && isNew) lineage.loosen(piece, value);
  if (isGood) lineage.settle(piece, value, old);
  disk.lyingMeta?.settled(piece);
  const peer = world.nodes[other(node.id)];
  const isStrict = peer.disk.lyingMeta?.mustYield(piece) === true;
  const lost = lineage.lostBy(piece, old, value, isStrict);
  if (lost.length === 0) return;
  const mine = lost.filter((each) => !isGiven(node, piece, each));
  if (mine.length === 0) {
    lineage.excuse(piece, lost);
    world.mark("discarded an answered write");
    return;
  }
  if (mine.every((each) => comesAgain(node, piece, each))) return;
  world.fail(
    "I12",
    `${node.name} piece ${piece} (block ${piece >> 3}): answered ${mine} ` +
      `overwritten by ${value} over ${old}`,
  );
}

/** What a Primary overwrites where its disk is behind, or damaged. */
function predecessor(node: SimNode, piece: number, old: number): number {
  const { world } = node;
  const peer = world.nodes[other(node.id)];
  const theirs = world.lineage.valueOf(piece, peer.disk.cache[piece] ?? 0);
  const { lineage } = world;
  if (theirs === undefined || lineage.descends(piece, old, theirs)) return old;
  // What is good is what went on from here, if anything did.
  const isGood = node.core?.state.disk === "UpToDate";
  return !isGood || lineage.cameFrom(piece, theirs, old) ? theirs : old;
}

/**
 * With `suspend-io` what nobody had is sent once more, in its order, and may be
 * behind its answer here. Protocol A has answered it on its way; it must be
 * there in the end. Protocol B has when it was received: it still waits behind.
 */
function comesAgain(node: SimNode, piece: number, value: number): boolean {
  const { core, world } = node;
  if (world.plan.onNoData !== "suspend-io") return false;
  if (core?.state.role !== "Secondary") return false;
  if (world.history.wasOnItsWay(value)) return true;
  return !core.replica.isDrained && node.received.covers(value, piece);
}

/**
 * A person gave it up: it was on this disk when a command said so. Or, with
 * protocol A, it was on its way when its Primary lost its disk or its role.
 */
function isGiven(node: SimNode, piece: number, value: number): boolean {
  const isGood = node.core?.state.disk === "UpToDate";
  if (!isGood && node.world.history.wasOnItsWay(value)) return true;
  return node.given.some((values) =>
    node.world.lineage.descends(piece, values[piece] ?? 0, value)
  );
}
