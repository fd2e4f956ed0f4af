/** `kedge nodes` and `kedge groups`: tables. */

import { parse } from "./args.ts";
import { allGroups, allNodes } from "./client/cluster.ts";
import { CONNECTION } from "./client/connection.ts";
import { openClient } from "./client/tracker_client.ts";
import type { Command } from "./command.ts";
import { UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { groupLines, nodeLines } from "./text/cluster_text.ts";

/** List the nodes. */
export const nodes: Command = {
  name: "nodes",
  summary: "list the nodes",
  usage: ["nodes"],
  about:
    `One line per node: its state, when it was last heard of, how many changes it
is behind, and its space.`,
  options: CONNECTION,
  examples: [
    ["kedge nodes", "a table"],
    ["kedge nodes --json | jq '.nodes[].report.url'", "for scripts"],
  ],
  exits: ["unreachable", "refused"],
  reads: true,

  async run(args, context) {
    const { values, words } = parse(args, CONNECTION);
    if (words.length > 0) throw new UsageError(`Unexpected word "${words[0]}"`);
    const found = await allNodes(await openClient(values, context));
    if (values.json) context.out.line(JSON.stringify({ nodes: found }));
    else context.out.line(nodeLines(found, context.out.columns).join("\n"));
    return EXIT.ok;
  },
};

/** List the groups. */
export const groups: Command = {
  name: "groups",
  summary: "list the groups",
  usage: ["groups"],
  about:
    `One line per group. Its size is that of its smallest node, its free space that
of its fullest.`,
  options: CONNECTION,
  examples: [["kedge groups", "a table"]],
  exits: ["unreachable", "refused"],
  reads: true,

  async run(args, context) {
    const { values, words } = parse(args, CONNECTION);
    if (words.length > 0) throw new UsageError(`Unexpected word "${words[0]}"`);
    const found = await allGroups(await openClient(values, context));
    if (values.json) context.out.line(JSON.stringify({ groups: found }));
    else context.out.line(groupLines(found, context.out.columns).join("\n"));
    return EXIT.ok;
  },
};
