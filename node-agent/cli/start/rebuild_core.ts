/**
 * Who is the truth when the shared KV store was lost: decided from the registers
 * that the nodes themselves saved. Pure.
 *
 * Only members in sync move the set, and each saves a register before it acts
 * under it. So where every member of the newest set is here, nothing newer can
 * have been acknowledged, and each of them has everything.
 *
 * @module
 */

import type { GroupRegister } from "@kedge/schema";

/** A node as its database tells. */
export interface SavedNode {
  readonly node: number;
  readonly group: string;
  /** The register that it acted under last. */
  readonly register: GroupRegister | undefined;
}

/** What to do in one group. */
export interface GroupRebuild {
  readonly group: string;
  /** Numbers of the nodes that come back. */
  readonly nodes: readonly number[];
  /** Numbers of nodes that had been removed before: they stay out. */
  readonly removed: readonly number[];
  /** Declared in sync. */
  readonly truth: number;
  /** Members in sync that are not here: only an operator can decide. */
  readonly absent: readonly number[];
}

/**
 * Decide for every group.
 *
 * @param saved Every node whose database is here.
 */
export function planRebuild(saved: readonly SavedNode[]): GroupRebuild[] {
  const groups = Map.groupBy(saved, ({ group }) => group);
  return [...groups].map(([group, nodes]) => planGroup(group, nodes));
}

function planGroup(group: string, saved: readonly SavedNode[]): GroupRebuild {
  const [newest] = saved.toSorted((a, b) => epochOf(b) - epochOf(a));
  const register = newest?.register;
  const here = saved.map(({ node }) => node);
  const members = register?.members.map(({ node }) => node) ?? here;
  const insync = register?.insync ?? [];
  const nodes = here.filter((node) => members.includes(node));
  return {
    group,
    nodes,
    removed: here.filter((node) => !members.includes(node)),
    truth: nodes.find((node) => insync.includes(node)) ?? newest?.node ?? 0,
    absent: register === undefined
      ? here
      : insync.filter((node) => !here.includes(node)),
  };
}

function epochOf({ register }: SavedNode): number {
  return register?.epoch ?? 0;
}
