/** What the cluster commands ask most: groups and nodes. */

import { GroupList, type GroupView, type NodeView } from "@kedge/schema";
import { CliError, UsageError } from "../errors.ts";
import { EXIT } from "../exit_codes.ts";
import type { TrackerClient } from "./tracker_client.ts";

/** Every group with its nodes, by name. */
export async function allGroups(client: TrackerClient): Promise<GroupView[]> {
  const { groups } = await client.json("/v1/groups", GroupList);
  return groups.sort((a, b) => a.register.group < b.register.group ? -1 : 1);
}

/** Every node, by number. */
export async function allNodes(client: TrackerClient): Promise<NodeView[]> {
  const groups = await allGroups(client);
  return groups.flatMap(({ nodes }) => nodes).sort((a, b) => a.node - b.node);
}

/**
 * A node number from the command line: "2" or "node-2".
 *
 * @throws {UsageError} When it is neither.
 */
export function nodeNumber(word: string): number {
  const match = /^(?:node-?)?(\d{1,8})$/.exec(word);
  if (match !== null) return Number(match[1]);
  throw new UsageError(`A node is a number such as 2, got "${word}"`);
}

/** One node of a list. */
export function nodeIn(nodes: readonly NodeView[], number: number): NodeView {
  const found = nodes.find(({ node }) => node === number);
  if (found !== undefined) return found;
  throw new CliError(
    `There is no node ${number}`,
    "kedge nodes",
    EXIT.notFound,
  );
}
