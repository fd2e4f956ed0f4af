/** `kedge group`: make groups, set them up, force a node into the set. */

import { SmallFileMax } from "@kedge/schema";
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
  "small-file-max": {
    kind: "text",
    value: "SIZE",
    help:
      'pack files up to this size, 64KB at most; 0 packs none, "own" leaves it to each agent',
  },
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
    "group create NAME [--level B] [--max-file-size 1TB] [--small-file-max 16KB]",
    "group set NAME [--level B] [--max-file-size 1TB] [--small-file-max 16KB]",
    "group force NAME NODE --accept-data-loss",
  ],
  about:
    `"force" is the last resort when every node that was in sync is lost for good:
it declares NODE to be in sync. What only the lost nodes had is gone.

"--small-file-max" is for millions of small files: every member of the group puts
new ones into segment files instead of one file each, from its next report on, and
without a restart. Files that are stored already stay as they are.`,
  options: OPTIONS,
  examples: [
    ["kedge group create photos --level C", "durable on all replicas"],
    ["kedge group set group1 --level A", "fast, answered by one node"],
    ["kedge group set thumbs --small-file-max 16KB", "pack small files"],
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
      const settings = settingsFrom(values, verb);
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
  { level, ...values }: {
    readonly level: string | undefined;
    readonly "max-file-size": string | undefined;
    readonly "small-file-max": string | undefined;
  },
  verb: string,
): Record<string, unknown> {
  const fileBytesMax = sizeOf("max-file-size", values["max-file-size"]);
  if (fileBytesMax === 0) {
    throw new UsageError("--max-file-size must be a size such as 1GB");
  }
  const small = values["small-file-max"];
  const isOwn = small === "own" && verb === "set";
  const smallFileMax = isOwn ? null : sizeOf("small-file-max", small);
  if (!SmallFileMax.nullable().optional().safeParse(smallFileMax).success) {
    throw new UsageError("--small-file-max must be 0, or a size up to 64KB");
  }
  const given = { level, fileBytesMax, smallFileMax };
  return Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  );
}

function sizeOf(name: string, text: string | undefined): number | undefined {
  const bytes = text === undefined ? undefined : parseSize(text);
  if (text === undefined || bytes !== undefined) return bytes;
  throw new UsageError(`--${name} must be a size such as 1GB`);
}
