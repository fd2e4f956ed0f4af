/**
 * Whether the members of a group hold the same files, as their root hashes tell
 * (promises.md F9). Pure.
 *
 * | hash of a member                                             | verdict   |
 * | ------------------------------------------------------------ | --------- |
 * | not told, or the node does not report                        | `unknown` |
 * | of an earlier moment: more was stored since                  | `behind`  |
 * | that of all others, or of most of those at the same positions | `same`    |
 * | another, at the same positions, both in sync, nothing under way | `differs` |
 * | another, and somebody is behind: whoever is not is `same`    | `behind`  |
 *
 * @module
 */

import type { Agreement, RootHash, SyncPosition } from "@kedge/schema";
import type { GroupState, MemberState } from "./cluster.ts";
import { lagOf } from "./lag.ts";

/** A member that told its hash. */
interface Told {
  readonly member: MemberState;
  readonly root: RootHash;
  /** Nothing was stored since. */
  readonly isCurrent: boolean;
  /** In sync too, and nothing of the others is on its way to it. */
  readonly isQuiet: boolean;
}

/** Decide for one member; see the table above. */
export function agreementOf(
  group: GroupState,
  member: MemberState,
): Agreement {
  const all = group.members.flatMap((one) => toldBy(group, one));
  const mine = all.find((one) => one.member.node === member.node);
  if (mine === undefined) return "unknown";
  if (!mine.isCurrent) return "behind";
  const others = all.filter((one) => one !== mine);
  const differing = others.filter(({ root }) => root.hash !== mine.root.hash);
  if (differing.length === 0) return "same";
  const rivals = differing.filter((other) => isAtSamePlace(mine, other));
  if (rivals.length > 0) {
    const alike = others.length - differing.length + 1;
    return alike > rivals.length ? "same" : "differs";
  }
  const isAhead = mine.isQuiet && differing.every(({ isQuiet }) => !isQuiet);
  return isAhead ? "same" : "behind";
}

function toldBy(group: GroupState, member: MemberState): Told[] {
  const { report } = member;
  const root = report?.root;
  if (report === undefined || root === undefined || !member.alive) return [];
  const isCurrent = [report.head, ...report.positions]
    .every((position) => isIn(root, position));
  // A report from before it came into the set is about another state.
  const isOfNow = report.epoch === group.register.epoch;
  const isQuiet = isCurrent && isOfNow && member.insync &&
    lagOf(group, member) === 0;
  return [{ member, root, isCurrent, isQuiet }];
}

/** A run without records is not told in a root hash. */
function isIn(root: RootHash, position: SyncPosition): boolean {
  const { origin, incarnation, sequence } = position;
  return sequence === 0 ||
    root.positions.some((one) =>
      one.origin === origin && one.incarnation === incarnation &&
      one.sequence === sequence
    );
}

/** Both have stored the same records, so they must have the same files. */
function isAtSamePlace(a: Told, b: Told): boolean {
  if (!a.isQuiet || !b.isQuiet) return false;
  return a.root.positions.every(({ origin, incarnation, sequence }) => {
    const other = b.root.positions.find((one) => one.origin === origin);
    return other === undefined ||
      other.incarnation === incarnation && other.sequence === sequence;
  });
}
