/**
 * Frames of a Primary that was replaced: whoever knows a later epoch takes
 * nothing of them (I2, its second half).
 *
 * Source: promises.md §4 I2, R1.
 *
 * @module
 */

import type { MirrorFrame } from "@kedge/schema/wire/mirror";
import type { VolumeCore } from "../../../node-agent/mirror/core/volume_core.ts";
import { isConnected } from "../../../node-agent/mirror/decisions/mirror_state.ts";
import type { SimNode } from "./sim_node.ts";

/**
 * Hand a frame to the core, and look whether it did anything with one that is
 * of an older epoch. Only what a Primary orders counts: reports and answers of
 * an older epoch are how a node learns that it is late.
 *
 * @param epoch Epoch of the register that its sender knew; 0: none.
 */
export function deliver(
  node: SimNode,
  core: VolumeCore,
  { frame, epoch }: { readonly frame: MirrorFrame; readonly epoch: number },
): void {
  const known = node.disk.state.epoch;
  if (!isOrder(frame) || epoch === 0 || epoch >= known) {
    return core.frame(frame, epoch);
  }
  const { world, disk } = node;
  world.mark("a replaced Primary sends");
  const before = disk.cache.slice();
  core.frame(frame, epoch);
  const isTaken = disk.cache.some((value, at) => value !== before[at]) ||
    isConnected(core.state.connection);
  if (isTaken) {
    world.fail("I2", `${frame.kind} of epoch ${epoch} under epoch ${known}`);
  }
}

function isOrder({ kind }: MirrorFrame): boolean {
  return kind === "data" || kind === "zero" || kind === "flush";
}
