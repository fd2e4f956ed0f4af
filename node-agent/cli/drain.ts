/** `kedge drain`, `kedge undrain`, `kedge node`: what a node is wanted for. */

import { z } from "zod";
import { hexByte } from "@kedge/schema/file-id";
import { exactly, parse } from "./args.ts";
import { allNodes, nodeIn, nodeNumber } from "./client/cluster.ts";
import { CONNECTION } from "./client/connection.ts";
import { openClient } from "./client/tracker_client.ts";
import type { Command } from "./command.ts";
import type { CommandContext } from "./context.ts";
import { CliError, UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";

type Mode = "active" | "draining" | "read-only";

const CONSENT = {
  "accept-data-loss": {
    kind: "flag",
    help: "also a node that may hold the last good copy of files",
  },
} as const;
const MODE_OPTIONS = { ...CONSENT, ...CONNECTION } as const;

/** How the tracker is told of the consent. */
function forceOf(values: { readonly "accept-data-loss": boolean }): string {
  return values["accept-data-loss"] ? "?force=1" : "";
}

function modeCommand(name: string, mode: Mode, text: {
  readonly summary: string;
  readonly about: string;
}): Command {
  return {
    name,
    summary: text.summary,
    usage: [`${name} NODE…`],
    about: text.about,
    options: MODE_OPTIONS,
    examples: [[`kedge ${name} 2`, `node 2 becomes ${mode}`]],
    exits: ["notFound", "unreachable", "refused"],

    async run(args, context) {
      const { values, words } = parse(args, MODE_OPTIONS);
      if (words.length === 0) throw new UsageError("Missing NODE");
      const numbers = words.map(nodeNumber);
      const client = await openClient(values, context);
      for (const node of numbers) {
        await client.done(`/v1/nodes/${node}/mode${forceOf(values)}`, {
          method: "POST",
          body: { mode },
        });
        context.out.line(
          values.json
            ? JSON.stringify({ node, mode })
            : `node ${node} is ${mode}`,
        );
      }
      return EXIT.ok;
    },
  };
}

/** Give a node no more uploads. */
export const drain: Command = modeCommand("drain", "draining", {
  summary: "give a node no more uploads",
  about:
    `A draining node keeps its files, stays in sync and answers reads, but gets no
new uploads. The first step before maintenance or removal. Refused while no other
live member of its group is in sync with all its disks.`,
});

/** Give a node uploads again. */
export const undrain: Command = modeCommand("undrain", "active", {
  summary: "give a node uploads again",
  about: "Takes back a drain, or the mode read-only.",
});

const NODE_OPTIONS = {
  force: { kind: "flag", help: "also a node that is alive and not draining" },
  ...MODE_OPTIONS,
} as const;

/** Remove a node, or make it read-only. */
export const node: Command = {
  name: "node",
  summary: "remove a node, make it read-only, accept a restored KV",
  usage: [
    "node remove NODE",
    "node read-only NODE",
    "node confirm NODE",
    "node open-path NODE M00",
  ],
  about:
    `"remove" takes a node out of its group for good: the others forget it, its
number is not used again. It keeps its files on disk. Refused by the tracker for
the last member in sync, and while no other live member is in sync with all its
disks (--accept-data-loss overrides this); refused here for a node that is alive
and not draining.

"confirm" tells a node that went read-only after the shared KV store was restored
from a backup that the store is right now.

"open-path" lets a node use a store path again that was fenced after an I/O error
or is missing: the path is tried with a write and a flush first. A new, empty disk
is taken in and filled from the group; one with another store's marker is refused.`,
  options: NODE_OPTIONS,
  examples: [
    ["kedge drain 3 && kedge node remove 3", "retire a node"],
    ["kedge node confirm 2", "after restoring the KV"],
    ["kedge node open-path 2 M01", "after its second disk was replaced"],
  ],
  verbs: ["remove", "read-only", "confirm", "open-path"],
  exits: ["notFound", "unreachable", "refused"],

  async run(args, context) {
    const { values, words } = parse(args, NODE_OPTIONS);
    if (words[0] === "open-path") return await openPath(values, words, context);
    const [verb = "", word = ""] = exactly(words, "VERB", "NODE");
    const number = nodeNumber(word);
    const client = await openClient(values, context);
    if (verb === "remove") {
      const known = nodeIn(await allNodes(client), number);
      if (known.alive && known.mode !== "draining" && !values.force) {
        throw new CliError(
          `Node ${number} is alive and takes uploads`,
          `kedge drain ${number}   (or --force)`,
        );
      }
      await client.done(`/v1/nodes/${number}${forceOf(values)}`, {
        method: "DELETE",
      });
    } else if (verb === "read-only") {
      await client.done(`/v1/nodes/${number}/mode`, {
        method: "POST",
        body: { mode: "read-only" },
      });
    } else if (verb === "confirm") {
      await client.done(`/v1/nodes/${number}/confirm`, { method: "POST" });
    } else {
      throw new UsageError(
        `Say remove, read-only, confirm or open-path, not "${verb}"`,
      );
    }
    context.out.line(
      values.json
        ? JSON.stringify({ node: number, done: verb })
        : `node ${number}: ${verb} done`,
    );
    return EXIT.ok;
  },
};

/** `M00` to `MFF`. */
function pathNumber(word: string): number {
  const [, hex] = /^[Mm]([0-9A-Fa-f]{2})$/.exec(word) ?? [];
  if (hex !== undefined) return parseInt(hex, 16);
  throw new UsageError(`A store path is written M00, M01, …, not "${word}"`);
}

const Opened = z.object({ refillFiles: z.int() });

async function openPath(
  values: Parameters<typeof openClient>[0] & { readonly json: boolean },
  words: readonly string[],
  context: CommandContext,
): Promise<number> {
  const [, word = "", name = ""] = exactly(words, "VERB", "NODE", "PATH");
  const [number, index] = [nodeNumber(word), pathNumber(name)];
  const client = await openClient(values, context);
  const path = `/v1/nodes/${number}/paths/${index}/open`;
  const answer = await client.json(path, Opened, { method: "POST" });
  const { refillFiles } = answer;
  const what = refillFiles === 0
    ? "takes bytes again"
    : `is in use; ${refillFiles} files come from the group now (kedge status)`;
  context.out.line(
    values.json
      ? JSON.stringify({ node: number, done: "open-path", ...answer })
      : `node ${number}: store path M${hexByte(index)} ${what}`,
  );
  return EXIT.ok;
}
