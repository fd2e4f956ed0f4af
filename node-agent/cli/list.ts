/** `kedge list`: the files of a group, for operators. */

import { z } from "zod";
import { FileInfo } from "@kedge/schema";
import { parse, wholeNumber } from "./args.ts";
import { allNodes, nodeIn, nodeNumber } from "./client/cluster.ts";
import { CONNECTION } from "./client/connection.ts";
import { openClient } from "./client/tracker_client.ts";
import type { Command } from "./command.ts";
import { CliError, UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { plainText } from "./text/table.ts";
import { sizeText } from "./text/units.ts";

/** Files asked for at once. */
const PAGE = 500;

const Page = z.object({
  files: z.array(FileInfo),
  next: z.string().nullable(),
});

const OPTIONS = {
  group: { kind: "text", value: "NAME", help: "files of this group" },
  node: { kind: "text", value: "NODE", help: "files that this node has" },
  prefix: { kind: "text", value: "ID", help: "IDs that begin so" },
  since: { kind: "text", value: "TIME", help: "made at or after, RFC 3339" },
  until: { kind: "text", value: "TIME", help: "made before, RFC 3339" },
  limit: {
    kind: "text",
    value: "N",
    fallback: "1000",
    help: "most files; 0 is all",
  },
  ...CONNECTION,
} as const;

/** See the module comment. */
export const list: Command = {
  name: "list",
  summary: "list files, for operators",
  usage: [
    "list [--group NAME | --node N] [--prefix ID] [--since T] [--until T]",
  ],
  about:
    `Lists the files that one node has, in ID order: an in-sync node of the group,
or the one that is named. Needs a key with the role operator.`,
  options: OPTIONS,
  examples: [
    ["kedge list --group group1 --since 2026-11-01T00:00:00Z", "by time"],
    ["kedge list --json --limit 0 | jq -r .id", "every ID"],
  ],
  exits: ["notFound", "unreachable", "refused"],
  reads: true,

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    if (words.length > 0) throw new UsageError(`Unexpected word "${words[0]}"`);
    const limit = wholeNumber("--limit", values.limit, { min: 0, max: 1e12 }) ||
      Infinity;
    const client = await openClient(values, context);
    const nodes = await allNodes(client);
    const source = values.node !== undefined
      ? nodeIn(nodes, nodeNumber(values.node))
      : nodes.find(({ group, alive, insync }) =>
        alive && insync &&
        (values.group === undefined || group === values.group)
      );
    if (source === undefined) {
      throw new CliError(
        "No node that is in sync can be asked",
        "kedge status",
      );
    }
    let after: string | undefined;
    for (let left = limit; left > 0;) {
      const { files, next } = await client.json(
        `/v1/nodes/${source.node}/files`,
        Page,
        {
          query: {
            prefix: values.prefix,
            since: values.since,
            until: values.until,
            after,
            limit: String(Math.min(left, PAGE)),
          },
        },
      );
      for (const file of files.slice(0, left)) {
        context.out.line(
          values.json ? JSON.stringify(file) : [
            plainText(file.id),
            sizeText(file.size).padStart(8),
            file.created,
            plainText(file.name ?? ""),
          ].join("  "),
        );
      }
      left -= files.length;
      if (next === null || files.length === 0) break;
      after = next;
    }
    return EXIT.ok;
  },
};
