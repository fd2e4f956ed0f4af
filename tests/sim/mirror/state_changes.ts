/**
 * What a change of a node's state means for everybody who watches.
 *
 * @module
 */

import type { MirrorState } from "../../../node-agent/mirror/decisions/mirror_state.ts";
import { loseSplitBrain, passedOn } from "./discards.ts";
import { meet, verifies } from "./lying_meta.ts";
import type { SimNode } from "./sim_node.ts";
import { inWords, joinsPeer } from "./state_words.ts";

/** The core of a node changed its state. */
export function noteChange(
  node: SimNode,
  before: MirrorState,
  after: MirrorState,
): void {
  const { world } = node;
  if (world.trace !== undefined) {
    node.trace(`${inWords(before)} -> ${inWords(after)}`);
  }
  const isWhole = before.disk === "Inconsistent" && after.disk === "UpToDate";
  const isJoined = before.connection === "WFReportParams" &&
    after.connection === "Connected" && after.disk === "UpToDate" &&
    after.peerDisk === "UpToDate";
  if (isWhole || isJoined) node.given = [];
  node.failedAnswers.changed();
  const isNew = before.connection !== after.connection;
  meet(world, before, after);
  if (after.connection === "VerifyS") verifies(world);
  if (isNew && after.connection === "WFReportParams") node.isDivided = false;
  if (node.isDivided && isNew && after.connection === "WFBitMapT") {
    loseSplitBrain(node);
  }
  passedOn(node, before, after);
  if (isNew) world.mark(`is ${after.connection}`);
  if (joinsPeer(before, after)) {
    world.history.promotions.joined(node, after.disk !== "Diskless");
  }
  if (before.role !== after.role) noteRole(node, before, after);
}

function noteRole(
  node: SimNode,
  before: MirrorState,
  { role }: MirrorState,
): void {
  node.world.mark(`became ${role}`);
  if (role !== "Primary") return node.failedAnswers.demoted();
  node.disk.lyingMeta?.noneIsBetter();
  node.world.history.promotions.promoted(node, before);
}
