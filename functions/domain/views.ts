/**
 * Groups and nodes as the API shows them. Pure.
 *
 * @module
 */

import type { GroupSettings, GroupView, NodeView } from "@kedge/schema";
import type { Reserve } from "@kedge/schema/config/units";
import { agreementOf } from "./agreement.ts";
import type { GroupState, MemberState } from "./cluster.ts";
import { lagEtaS, lagOf } from "./lag.ts";
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
    ...smallFiles(group.settings),
    ...groupSpace(group, reserve),
    writable: isWritable(uploadTargets([group], reserve)),
    nodes: group.members.map((member) => viewNode(group, member)),
  };
}

function smallFiles(
  { smallFileMax }: GroupSettings,
): Pick<GroupView, "smallFileMax"> {
  return smallFileMax === undefined ? {} : { smallFileMax };
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
    lagEtaS: lagEtaS(group, member),
    agreement: agreementOf(group, member),
    report: member.report ?? null,
  };
}
