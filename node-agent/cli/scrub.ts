/** `kedge scrub`: read every byte again, repair what is bad. */

import { z } from "zod";
import { Heartbeat, type NodeView } from "@kedge/schema";
import { parse } from "./args.ts";
import { apiError } from "./client/api_error.ts";
import { allNodes, nodeIn, nodeNumber } from "./client/cluster.ts";
import { CONNECTION } from "./client/connection.ts";
import { openClient, type TrackerClient } from "./client/tracker_client.ts";
import type { Command } from "./command.ts";
import type { CommandContext } from "./context.ts";
import { CliError, messageOf } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { scrubText } from "./text/cluster_text.ts";
import { cutTo } from "./text/table.ts";

const LOOK_MS = 500;

/** How far a scrub is; `running` is false when it is done. */
const Progress = Heartbeat.shape.scrub.unwrap().extend({
  running: z.boolean().default(true),
}).nullable();
type Progress = z.infer<typeof Progress>;

const OPTIONS = {
  "no-wait": { kind: "flag", help: "start it and return" },
  ...CONNECTION,
} as const;

/** See the module comment. */
export const scrub: Command = {
  name: "scrub",
  summary: "read every stored byte again, and repair bad copies",
  usage: ["scrub [--no-wait] [NODE…]   (every node when none is named)"],
  about:
    `Starts a scrub, shows its progress, and waits for the end. Bad copies are
repaired from a good one; nothing is ever deleted. Exit code 1 says that damage
was found that could not be repaired.`,
  options: OPTIONS,
  examples: [
    ["kedge scrub", "all nodes"],
    ["kedge scrub --no-wait 2", "start node 2 only"],
  ],
  exits: ["notFound", "unreachable", "refused"],

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    const client = await openClient(values, context);
    const nodes = await allNodes(client);
    const chosen = words.length === 0
      ? nodes.filter(({ alive }) => alive)
      : words.map((word) => nodeIn(nodes, nodeNumber(word)));
    if (chosen.length === 0) {
      throw new CliError("No node is alive", "kedge nodes");
    }
    for (const { node } of chosen) {
      await client.done(`/v1/nodes/${node}/scrub`, { method: "POST" });
      if (values["no-wait"]) {
        context.out.line(
          values.json
            ? JSON.stringify({ node, started: true })
            : `node ${node}: scrub started`,
        );
      }
    }
    if (values["no-wait"]) return EXIT.ok;
    const results = await Promise.all(
      chosen.map((view) => follow(client, view, { values, context })),
    );
    return results.every(Boolean) ? EXIT.ok : EXIT.failed;
  },
};

/** Wait for one node. Returns whether everything there is good. */
async function follow(
  client: TrackerClient,
  { node }: NodeView,
  { values, context }: {
    values: { readonly json: boolean };
    context: CommandContext;
  },
): Promise<boolean> {
  let last: NonNullable<Progress> | undefined;
  for (;;) {
    const progress = await progressOf(client, node);
    last = progress ?? last;
    if (progress === null || !progress.running) break;
    const { columns } = context.err;
    if (columns !== undefined) {
      const line = `node ${node}: ${scrubText(progress)}`;
      context.err.write(`\r\x1b[2K${cutTo(line, columns - 1)}`);
    }
    await context.sleep(LOOK_MS, context.signal);
  }
  if (context.err.columns !== undefined) context.err.write("\r\x1b[2K");
  const damaged = last?.damaged ?? 0;
  context.out.line(
    values.json
      ? JSON.stringify({ node, ...last, running: undefined })
      : `node ${node}: ${
        last === undefined
          ? "nothing to check"
          : `${last.repaired} repaired, ${damaged} damaged`
      }`,
  );
  return damaged === 0;
}

async function progressOf(
  client: TrackerClient,
  node: number,
): Promise<Progress> {
  const response = await client.ask(`/v1/nodes/${node}/scrub`);
  if (!response.ok) throw await apiError(response);
  try {
    return Progress.parse(await response.json());
  } catch (error) {
    throw new CliError(
      `Node ${node} does not say how far it is: ${messageOf(error)}`,
      "kedge status",
    );
  }
}
