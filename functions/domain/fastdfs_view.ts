/**
 * The cluster as a FastDFS gateway needs it: who is there, and a handful of
 * draws of the placement policy among nodes that have a gateway. Pure.
 *
 * @module
 */

import {
  DRAWS_MAX,
  type FastdfsDraw,
  type FastdfsGroup,
  type FastdfsNode,
  type FastdfsView,
  GROUP_DRAWS_MAX,
} from "@kedge/schema/fastdfs-view";
import type { NodeId, NodeRecord } from "@kedge/schema";
import { type Reserve, reserveBytes } from "@kedge/schema/config/units";
import type { GroupState, MemberState } from "./cluster.ts";
import type { Draw } from "./draw.ts";
import { lagOf } from "./lag.ts";
import { type GroupTarget, place, type PlacementPolicy } from "./placement.ts";
import { groupSpace, spaceOf } from "./space.ts";

/** What the view is made of. */
export interface FastdfsFacts {
  readonly groups: ReadonlyMap<string, GroupState>;
  readonly nodes: ReadonlyMap<NodeId, NodeRecord>;
  readonly targets: readonly GroupTarget[];
}

/** How to choose and what to keep free. */
export interface FastdfsRule {
  readonly policy: PlacementPolicy;
  readonly draw: Draw;
  readonly reserve: Reserve;
}

/** Put the view together. */
export function fastdfsView(
  facts: FastdfsFacts,
  rule: FastdfsRule,
): FastdfsView {
  const targets = reachable(facts);
  return {
    groups: [...facts.groups.values()]
      .map((group) => viewGroup(group, { facts, rule, targets })),
    draws: draws(targets, rule, { count: DRAWS_MAX }),
    storePath: rule.policy.storePath,
  };
}

/** Targets whose node has a gateway. */
function reachable({ groups, targets }: FastdfsFacts): GroupTarget[] {
  return targets.flatMap((target) => {
    const members = groups.get(target.group)?.members ?? [];
    const nodes = target.nodes.filter(({ node }) =>
      members.some((member) =>
        member.node === node && member.report?.fastdfs !== undefined
      )
    );
    return nodes.length === 0 ? [] : [{ ...target, nodes }];
  });
}

function draws(
  targets: readonly GroupTarget[],
  rule: FastdfsRule,
  { group, count }: { readonly group?: string; readonly count: number },
): FastdfsDraw[] {
  const found: FastdfsDraw[] = [];
  for (let n = 0; n < count; n++) {
    const drawn = place(targets, { group, sizeBytes: 1 }, rule);
    if (!drawn.ok) break;
    const { group: { group: name }, node: { node }, pathIndex } = drawn;
    found.push({ group: name, node, pathIndex });
  }
  return found;
}

function viewGroup(
  group: GroupState,
  { facts, rule, targets }: {
    readonly facts: FastdfsFacts;
    readonly rule: FastdfsRule;
    readonly targets: readonly GroupTarget[];
  },
): FastdfsGroup {
  const { register, members } = group;
  const space = groupSpace(group, rule.reserve);
  const name = register.group;
  const drawn = draws(targets, rule, { group: name, count: GROUP_DRAWS_MAX });
  const isTarget = targets.some((target) => target.group === name);
  return {
    register,
    ...space,
    reservedBytes: reserveBytes(rule.reserve, space.totalBytes),
    nodes: members.map((member) => ({
      ...viewNode(member, { record: facts.nodes.get(member.node), rule }),
      lagChanges: lagOf(group, member),
    })),
    draws: drawn,
    isFull: isTarget && drawn.length === 0,
  };
}

function viewNode(
  { node, alive, insync, mode, silentMs, report }: MemberState,
  { record, rule }: {
    readonly record: NodeRecord | undefined;
    readonly rule: FastdfsRule;
  },
): FastdfsNode {
  const storePaths = report?.storePaths ?? [];
  return {
    node,
    address: report?.fastdfs ?? null,
    alive,
    insync,
    mode,
    joinedS: seconds(record?.joinedMs ?? 0),
    silentS: seconds(silentMs ?? 0),
    ...spaceOf(storePaths, rule.reserve),
    storePathCount: storePaths.length,
    uploadPriority: report?.uploadPriority ?? 0,
    version: report?.version ?? "",
    ...(report?.fastdfsStats === undefined
      ? {}
      : { stats: report.fastdfsStats }),
  };
}

function seconds(ms: number): number {
  return Math.max(0, Math.floor(ms / 1000));
}
