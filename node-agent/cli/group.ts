/** `kedge group`: make groups, set them up, force a node into the set. */

import { parseSize } from "@kedge/schema/config/units";
import { exactly, parse } from "./args.ts";
import { nodeNumber } from "./client/cluster.ts";
import { CONNECTION } from "./client/connection.ts";
import { openClient, type TrackerClient } from "./client/tracker_client.ts";
import type { Command } from "./command.ts";
import { CliError, UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";

const OPTIONS = {
  level: {
    kind: "text",
    value: "LEVEL",
    choices: ["A", "B", "C"],
    help: "level of uploads that do not ask for one",
  },
  "max-file-size": { kind: "text", value: "SIZE", help: "largest file" },
  "accept-data-loss": {
    kind: "flag",
    help: "needed for force: files that only other nodes have may be lost",
  },
  ...CONNECTION,
} as const;

/** See the module comment. */
export const group: Command = {
  name: "group",
  summary: "create a group, set its level, force a node in sync",
  usage: [
    "group create NAME [--level B] [--max-file-size 1TB]",
    "group set NAME [--level B] [--max-file-size 1TB]",
    "group force NAME NODE --accept-data-loss",
  ],
  about:
    `"force" is the last resort when every node that was in sync is lost for good:
it declares NODE to be in sync. What only the lost nodes had is gone.`,
  options: OPTIONS,
  examples: [
    ["kedge group create photos --level C", "durable on all replicas"],
    ["kedge group set group1 --level A", "fast, answered by one node"],
  ],
  verbs: ["create", "set", "force"],
  exits: ["notFound", "unreachable", "refused"],

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    const [verb = "", name = "", ...rest] = words;
    if (!["create", "set", "force"].includes(verb)) {
      throw new UsageError(`Say create, set or force, not "${verb}"`);
    }
    if (name === "") throw new UsageError("Missing NAME");
    const client = await openClient(values, context);
    if (verb === "force") {
      const [node = ""] = exactly(rest, "NODE");
      await force(client, name, {
        node: nodeNumber(node),
        isAccepted: values["accept-data-loss"],
      });
    } else {
      exactly(rest);
      const settings = settingsFrom(values.level, values["max-file-size"]);
      await client.done(
        verb === "create" ? "/v1/groups" : `/v1/groups/${name}`,
        verb === "create"
          ? { method: "POST", body: { name, settings } }
          : { method: "PATCH", body: settings },
      );
    }
    context.out.line(
      values.json
        ? JSON.stringify({ group: name, done: verb })
        : `group ${name}: ${verb} done`,
    );
    return EXIT.ok;
  },
};

async function force(
  client: TrackerClient,
  name: string,
  { node, isAccepted }: { node: number; isAccepted: boolean },
): Promise<void> {
  if (!isAccepted) {
    throw new CliError(
      `Forcing node ${node} loses every file that only other nodes have`,
      "bring the others back if you can; otherwise add --accept-data-loss",
      EXIT.misused,
    );
  }
  await client.done(`/v1/groups/${name}/force`, {
    method: "POST",
    body: { node },
  });
}

function settingsFrom(
  level: string | undefined,
  size: string | undefined,
): Record<string, unknown> {
  const fileBytesMax = size === undefined ? undefined : parseSize(size);
  if (size !== undefined && (fileBytesMax === undefined || fileBytesMax < 1)) {
    throw new UsageError(`--max-file-size must be a size such as 1GB`);
  }
  return {
    ...(level === undefined ? {} : { level }),
    ...(fileBytesMax === undefined ? {} : { fileBytesMax }),
  };
}
