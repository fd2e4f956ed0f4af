/** Whether a local cluster is ready, and what it still waits for. Pure. */

import type { GroupView } from "@kedge/schema";

/** What one agent of this run has said. */
export interface AgentFacts {
  /** Folder number. */
  readonly index: number;
  /** Its group. */
  readonly group: string;
  /** Its number; `undefined` until it said that it serves. */
  readonly node: number | undefined;
}

/**
 * What is missing until everything is up, joined, in sync and writable.
 *
 * @param agents The agents of this run.
 * @param groups As the tracker lists them; `undefined` while it is silent.
 * @returns One line for people, or `undefined` when nothing is missing.
 */
export function missing(
  agents: readonly AgentFacts[],
  groups: readonly GroupView[] | undefined,
): string | undefined {
  const silent = agents.filter(({ node }) => node === undefined);
  if (silent.length > 0) {
    return `waiting for ${
      silent.map(({ index }) => `node-${index}`).join(", ")
    }`;
  }
  if (groups === undefined) return "waiting for the tracker";
  for (const { group, node, index } of agents) {
    const view = groups.find(({ register }) => register.group === group);
    if (view === undefined || node === undefined) return `waiting for ${group}`;
    if (!view.register.insync.includes(node)) {
      return `node-${index} is copying from its group`;
    }
    if (!view.nodes.some((known) => known.node === node && known.alive)) {
      return `waiting for the report of node-${index}`;
    }
    if (!view.writable) return `waiting until ${group} takes uploads`;
  }
  return undefined;
}
