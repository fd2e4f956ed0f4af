/**
 * What a disk lost, or may have lost, as the history is told.
 *
 * @module
 */

import type { Loss } from "./sim_disk.ts";
import type { SimNode } from "./sim_node.ts";

/** A loss of power, or a failed flush, has taken writes from a disk. */
export function tookLosses(node: SimNode, losses: readonly Loss[]): void {
  for (const { piece, isHidden, unflushed, right } of losses) {
    const before = right ?? unflushed.at(-1) ?? 0;
    const isKnown = node.world.sabotage.bothLie !== true;
    if (isHidden === true && isKnown) {
      node.world.taints.add(node, piece, before);
    }
  }
  node.world.history.losses.lost(node, losses);
}

/** A disk failed, or was taken away: what it never flushed may be gone. */
export function doubtUnflushed(node: SimNode): void {
  const losses = node.disk.unflushed();
  for (const [value, piece] of node.received.pieces()) {
    losses.push({ piece, unflushed: [value], isLost: false });
  }
  node.received.clear();
  node.world.history.losses.lost(node, losses);
  node.world.history.losses.died(node, true);
}
