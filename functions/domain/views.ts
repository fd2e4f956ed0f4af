/**
 * Groups and nodes as the API shows them. Pure.
 *
 * @module
 */

import type { GroupView, NodeView } from "@kedge/schema";
import type { Reserve } from "@kedge/schema/config/units";
import type { GroupState, MemberState } from "./cluster.ts";
import { isWritable, uploadTargets } from "./placement.ts";
import { groupSpace } from "./space.ts";

/** A group as `GET /v1/groups` shows it. */
export function viewGroup(
  group: GroupState,
  reserve: Reserve,
): GroupView {
  return {
    register: group.register,
    level: group.settings.level,
    ...groupSpace(group, reserve),
    writable: isWritable(uploadTargets([group], reserve)),
    nodes: group.members.map((member) => viewNode(group, member)),
  };
}

/** A node as `GET /v1/nodes` shows it. */
export function viewNode(group: GroupState, member: MemberState): NodeView {
  return {
    node: member.node,
    group: group.register.group,
    mode: member.mode,
    alive: member.alive,
    insync: member.insync,
    silentMs: member.silentMs ?? null,
    lagChanges: lagOf(group, member),
    report: member.report ?? null,
  };
}

/**
 * Changes that other members have made and this one has not applied, as far as
 * the last reports tell. A log of another incarnation counts whole.
 */
export function lagOf(group: GroupState, member: MemberState): number {
  let lag = 0;
  for (const other of group.members) {
    if (other.node === member.node || other.report === undefined) continue;
    const { incarnation, sequence } = other.report.head;
    const position = member.report?.positions
      .find(({ origin }) => origin === other.node);
    const applied = position?.incarnation === incarnation
      ? position.sequence
      : 0;
    lag += Math.max(0, sequence - applied);
  }
  return lag;
}
