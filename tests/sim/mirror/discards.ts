/**
 * When a node's data are given up, as the history is told.
 *
 * @module
 */

import {
  isConnected,
  type MirrorState,
} from "../../../node-agent/mirror/decisions/mirror_state.ts";
import type { SimNode } from "./sim_node.ts";
import { decides, losesNothing } from "./state_words.ts";

/** A policy, or a command, says whose changes go. */
export function loseSplitBrain(node: SimNode): void {
  node.isDivided = false;
  node.world.mark("split brain resolved");
  // This policy decides only where nothing is lost.
  const { splitBrain } = node.world.plan;
  if (decides(splitBrain) && !losesNothing(splitBrain)) node.give();
}

/**
 * With `pass_on` a Primary's disk stays when it fails, and is as gone as one
 * that is detached: the peer's is the only copy from now on. Without protocol C
 * that one may have lost with its memory what was answered (B5).
 */
export function passedOn(
  node: SimNode,
  before: MirrorState,
  after: MirrorState,
): void {
  const isPassedOn = node.world.plan.onIoError === "pass_on" &&
    before.role === "Primary" && isConnected(before.connection) &&
    before.disk === "UpToDate" && before.peerDisk === "UpToDate" &&
    after.connection === "Connected" && after.disk === "Inconsistent";
  if (!isPassedOn) return;
  node.world.mark("an error was passed on");
  node.world.history.losses.died(node, true);
}
