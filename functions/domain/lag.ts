/**
 * How far members are behind each other. Pure.
 *
 * @module
 */

import type { GroupState, MemberState } from "./cluster.ts";

/**
 * Changes that other members have made and this one has not applied, as far as
 * the last reports tell. A log of another incarnation counts whole.
 */
export function lagOf(group: GroupState, member: MemberState): number {
  let lag = 0;
  for (const other of group.members) {
    if (other.node === member.node || other.report === undefined) continue;
    const { incarnation, sequence } = other.report.head;
    const applied = member.report?.positions.find((position) =>
      position.origin === other.node && position.incarnation === incarnation
    )?.sequence ?? 0;
    lag += Math.max(0, sequence - applied);
  }
  return lag;
}

/**
 * Seconds until a member has applied what the others made, at the rate of its
 * last seconds; `null` when nothing is missing or nothing moves.
 */
export function lagEtaS(group: GroupState, member: MemberState): number | null {
  const lag = lagOf(group, member);
  const perS = member.report?.replication?.appliedPerS ?? 0;
  return lag === 0 || perS <= 0 ? null : Math.ceil(lag / perS);
}
