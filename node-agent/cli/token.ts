/** `kedge token` and `kedge keys`: who may join, who may call, who signs. */

import { z } from "zod";
import { CreatedToken, TokenList, type TokenView } from "@kedge/schema";
import { parseDuration } from "@kedge/schema/config/units";
import { exactly, parse, type Values } from "./args.ts";
import { CONNECTION } from "./client/connection.ts";
import { openClient, type TrackerClient } from "./client/tracker_client.ts";
import type { Command } from "./command.ts";
import type { CommandContext } from "./context.ts";
import { CliError, UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { plainText, tableLines } from "./text/table.ts";
import { readsWith } from "./readers.ts";

const OPTIONS = {
  api: {
    kind: "flag",
    help: "an API key for an application, not a join token",
  },
  name: { kind: "text", value: "NAME", help: "which application has the key" },
  role: {
    kind: "text",
    value: "ROLE",
    choices: ["client", "operator"],
    help: "what the key allows (default client)",
  },
  group: {
    kind: "text",
    value: "NAME",
    help: "group that the node must enter",
  },
  "create-group": { kind: "flag", help: "the node may make the group" },
  expires: {
    kind: "text",
    value: "TIME",
    help: "life, such as 1h or 30d (join tokens: 1d; API keys: no end)",
  },
  ...CONNECTION,
} as const;

/** Join tokens and API keys. */
export const token: Command = {
  name: "token",
  summary: "make, list and revoke join tokens and API keys",
  usage: [
    "token create [--group NAME] [--expires 1d]",
    "token create --api --name APP [--role client] [--expires 30d]",
    "token list",
    "token revoke HASH…",
  ],
  about:
    `A join token lets one node join, once. An API key lets an application upload
and change files (client) or look after the cluster (operator). The secret is
printed once, on standard output, and kept nowhere: redirect it into a file.`,
  options: OPTIONS,
  examples: [
    [
      "kedge token create --group group1 > token",
      "for kedge agent --token-file",
    ],
    ["kedge token create --api --name web > web.key", "for an application"],
    ["kedge token list", "with the hashes that revoke needs"],
  ],
  verbs: ["create", "list", "revoke"],
  reads: readsWith(OPTIONS, "list"),
  exits: ["notFound", "unreachable", "refused"],

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    const [verb, ...rest] = words;
    const client = await openClient(values, context);
    switch (verb) {
      case "create":
        exactly(rest);
        await create(client, values, context);
        break;
      case "list":
        exactly(rest);
        await list(client, values.json, context);
        break;
      case "revoke":
        if (rest.length === 0) throw new UsageError("Missing HASH");
        for (const hash of rest) await revoke(client, hash, context);
        break;
      default:
        throw new UsageError(`Say create, list or revoke, not "${verb ?? ""}"`);
    }
    return EXIT.ok;
  },
};

type TokenValues = Values<typeof OPTIONS> & { readonly json: boolean };

async function create(
  client: TrackerClient,
  values: TokenValues,
  context: CommandContext,
): Promise<void> {
  const created = await client.json("/v1/tokens", CreatedToken, {
    method: "POST",
    body: values.api ? apiBody(values) : joinBody(values),
  });
  if (values.json) return context.out.line(JSON.stringify(created));
  context.out.line(created.token);
  const until = created.expires === null
    ? "no end"
    : `until ${created.expires}`;
  context.err.line(
    `shown once; ${until}; revoke: kedge token revoke ${created.hash}`,
  );
}

function apiBody(values: TokenValues): Record<string, unknown> {
  if (values.name === undefined) {
    throw new UsageError("--name is missing: which application has the key?");
  }
  return {
    kind: "api",
    name: values.name,
    role: values.role ?? "client",
    ...expiry(values.expires),
  };
}

function joinBody(values: TokenValues): Record<string, unknown> {
  if (values.name !== undefined || values.role !== undefined) {
    throw new UsageError("--name and --role are for --api");
  }
  return {
    kind: "join",
    ...(values.group === undefined ? {} : { group: values.group }),
    ...(values["create-group"] ? { createGroup: true } : {}),
    ...expiry(values.expires),
  };
}

function expiry(text: string | undefined): { expiresS?: number } {
  if (text === undefined) return {};
  const ms = parseDuration(text);
  if (ms === undefined || ms < 1000) {
    throw new UsageError(`--expires must be a duration such as 1h or 30d`);
  }
  return { expiresS: Math.floor(ms / 1000) };
}

async function list(
  client: TrackerClient,
  isJson: boolean,
  context: CommandContext,
): Promise<void> {
  const { tokens } = await client.json("/v1/tokens", TokenList);
  if (isJson) return context.out.line(JSON.stringify({ tokens }));
  const rows = tokens.map((one) => [
    one.hash.slice(0, 12),
    one.kind,
    plainText(one.name ?? one.group ?? "-"),
    one.role ?? useOf(one),
    one.created,
    one.expires ?? "-",
  ]);
  context.out.line(
    tableLines(["HASH", "KIND", "FOR", "USE", "CREATED", "EXPIRES"], rows)
      .join("\n"),
  );
}

function useOf({ usedBy }: TokenView): string {
  return usedBy === null ? "unused" : `node ${usedBy}`;
}

/** A beginning of the hash is enough when only one token has it. */
async function revoke(
  client: TrackerClient,
  beginning: string,
  context: CommandContext,
): Promise<void> {
  const { tokens } = await client.json("/v1/tokens", TokenList);
  const matching = tokens.filter(({ hash }) => hash.startsWith(beginning));
  const [found] = matching;
  if (found === undefined) {
    throw new CliError(
      `There is no token "${beginning}"`,
      "kedge token list",
      EXIT.notFound,
    );
  }
  if (matching.length > 1) {
    throw new UsageError(`"${beginning}" is the beginning of several hashes`);
  }
  await client.done(`/v1/tokens/${found.hash}`, { method: "DELETE" });
  context.out.line(`${found.hash.slice(0, 12)} revoked`);
}

/** Keys that sign capabilities. */
export const keys: Command = {
  name: "keys",
  summary: "rotate the keys that sign capabilities",
  usage: ["keys rotate"],
  about:
    `Makes a new key for signing; the old ones count for 30 more minutes, so that
no upload under way is refused. Do it when a key may have leaked.`,
  options: CONNECTION,
  examples: [["kedge keys rotate", "at any time"]],
  verbs: ["rotate"],
  exits: ["unreachable", "refused"],

  async run(args, context) {
    const { values, words } = parse(args, CONNECTION);
    const [verb] = exactly(words, "rotate");
    if (verb !== "rotate") throw new UsageError(`Say rotate, not "${verb}"`);
    const client = await openClient(values, context);
    const answer = await client.json("/v1/signing-keys/rotate", z.unknown(), {
      method: "POST",
    });
    context.out.line(values.json ? JSON.stringify(answer) : "rotated");
    return EXIT.ok;
  },
};
