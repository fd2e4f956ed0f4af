/**
 * Online verify as operators use it: after faults that no node can know of, it
 * must find every block that differs.
 *
 * @module
 */

import type { SimNode } from "./sim_node.ts";
import { other, PIECES_PER_BLOCK, type World } from "./world.ts";

/** Whether an operator should verify before calling the volume well. */
export function needsScrub(world: World): boolean {
  return world.taints.isAny && !world.isScrubbed;
}

/** A verify ran to its end on the node that asked for it. */
export function scrubEnded(node: SimNode): void {
  const { world } = node;
  // Another one may have begun while clients wrote: it skips their blocks.
  if (!node.isScrubbing) return;
  node.isScrubbing = false;
  const peer = world.nodes[other(node.id)];
  if (!isQuiet(node) || !isQuiet(peer)) return; // once more
  for (let piece = 0; piece < node.disk.cache.length; piece++) {
    if (node.disk.cache[piece] === peer.disk.cache[piece]) continue;
    const block = Math.floor(piece / PIECES_PER_BLOCK);
    if (node.core?.bitmap?.count !== 0 && isMarked(node, block)) continue;
    world.fail(
      "I9",
      `verify ended on ${node.name} and did not find block ${block}`,
    );
  }
  world.isScrubbed = true;
  world.mark("scrubbed");
}

function isQuiet({ core }: SimNode): boolean {
  return core !== undefined && core.writes.isIdle &&
    core.writes.unconfirmed === 0 && core.replica.isDrained;
}

function isMarked(node: SimNode, block: number): boolean {
  const bytes = node.core?.bitmap?.bytes;
  return ((bytes?.[block >> 3] ?? 0) >> (block & 7) & 1) === 1;
}
