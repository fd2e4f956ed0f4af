/**
 * Groups and members for tests of the domain.
 *
 * @module
 */

import {
  emptyRegister,
  GroupSettings,
  type StorePathReport,
} from "@kedge/schema";
import { heartbeatOf } from "../testing.ts";
import type { GroupState, MemberState } from "./cluster.ts";

/** A healthy member in sync. */
export function memberOf(
  node: number,
  given: Partial<MemberState> = {},
): MemberState {
  return {
    node,
    mode: "active",
    insync: true,
    alive: true,
    silentMs: 10,
    report: heartbeatOf({
      url: `http://10.0.0.${node}:9000`,
      peerAddress: { hostname: `10.0.0.${node}`, port: 9100 },
      head: { origin: node, incarnation: 1, sequence: 10 },
    }),
    ...given,
  };
}

/** A member in sync whose only store path is in this state. */
export function withPath(
  node: number,
  state: StorePathReport["state"],
): MemberState {
  const member = memberOf(node);
  const storePaths = [{ index: 0, totalBytes: 9, freeBytes: 0, state }];
  return {
    ...member,
    report: member.report && { ...member.report, storePaths },
  };
}

/** A group of these members. */
export function groupOf(
  members: readonly MemberState[],
  name = "group1",
): GroupState {
  return {
    register: {
      ...emptyRegister(name, "4b4d2f5e-0c65-4a39-8f0c-1f3a3f1d6a10"),
      members: members.map(({ node, report }) => ({
        node,
        store: report?.store ?? "4b4d2f5e-0c65-4a39-8f0c-1f3a3f1d6a11",
      })),
      insync: members.filter(({ insync }) => insync).map(({ node }) => node),
    },
    settings: GroupSettings.parse({}),
    members,
  };
}

/** A generator with a fixed seed (mulberry32), so that no run differs. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Chi-square of counts against equal shares. */
export function chiSquare(counts: readonly number[]): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const share = total / counts.length;
  return counts.reduce((sum, count) => sum + (count - share) ** 2 / share, 0);
}
