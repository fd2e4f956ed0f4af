/**
 * What the disks of a member mean for the files of its group. Pure.
 *
 * @module
 */

import type { NodeId, StorePathReport } from "@kedge/schema";
import { hexByte } from "@kedge/schema/file-id";
import type { GroupState, MemberState } from "./cluster.ts";

/**
 * The first store path of a member that its files may be gone from.
 *
 * Copies lie on any path of a replica, whatever the file ID says: the path of
 * the ID is that of the node that took the upload.
 *
 * @returns `undefined` when there is none, or nothing was ever reported.
 */
export function badPath({ report }: MemberState): StorePathReport | undefined {
  return report?.storePaths.find(({ state, refillFiles = 0 }) =>
    state === "missing" || state === "fenced" || refillFiles > 0
  );
}

/**
 * Why a group cannot do without a node (promises F13): there must be another
 * live member in sync whose disks are all there.
 *
 * @param group Its group.
 * @param node Who is to go.
 * @returns The reason, or `undefined` when it may go. A node that is alone may:
 * there is nothing to be kept for anybody else.
 */
export function whyNeeded(
  group: GroupState,
  node: NodeId,
): string | undefined {
  const others = group.members.filter((member) => member.node !== node);
  if (others.length === 0) return undefined;
  const faults = others.map(faultOf);
  if (faults.includes(undefined)) return undefined;
  return `Node ${node} may hold the last good copy of files: ` +
    faults.join("; ");
}

/** Why a member alone is not enough. */
function faultOf(member: MemberState): string | undefined {
  const { node, insync, alive } = member;
  if (!insync) return `node ${node} is not in sync`;
  if (!alive) return `node ${node} does not report`;
  const path = badPath(member);
  if (path === undefined) return undefined;
  const what = (path.refillFiles ?? 0) > 0 ? "being filled again" : path.state;
  return `store path M${hexByte(path.index)} of node ${node} is ${what}`;
}
