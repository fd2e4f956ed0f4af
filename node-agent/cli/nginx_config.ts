/** `kedge nginx-config`: a server block for stock nginx. */

import { resolve } from "node:path";
import { parse } from "./args.ts";
import { allGroups } from "./client/cluster.ts";
import { CONNECTION } from "./client/connection.ts";
import { openClient } from "./client/tracker_client.ts";
import type { Command } from "./command.ts";
import type { CommandContext } from "./context.ts";
import { messageOf, UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { agentOfSettings, agentsOfStart } from "./nginx/agents_here.ts";
import { nginxConf } from "./nginx/conf_text.ts";
import { planGroups } from "./nginx/gather.ts";
import { readNotes, thisMachine } from "./nginx/may_read.ts";
import type { NginxPlan } from "./nginx/plan.ts";

const OPTIONS = {
  agent: {
    kind: "list",
    value: "FILE",
    help: "settings of an agent on this machine (its --config)",
  },
  data: {
    kind: "text",
    value: "DIR",
    help: "data directory of a `kedge start` (default ./kedge-data)",
  },
  serve: {
    kind: "text",
    value: "HOW",
    choices: ["direct", "accel"],
    help:
      "direct: nginx from the disk; accel: an agent decides each time (default direct; accel when downloads need links)",
  },
  listen: {
    kind: "text",
    value: "ADDRESS",
    fallback: "80",
    help: "nginx's `listen`: a port, or ADDRESS:PORT",
  },
  "server-name": {
    kind: "text",
    value: "NAME",
    fallback: "_",
    help: "nginx's `server_name`",
  },
  "access-log": {
    kind: "text",
    value: "FILE",
    fallback: "/var/log/nginx/kedge.log",
    help: "where downloads are logged, without their queries; or off",
  },
  "tls-cert": { kind: "text", value: "FILE", help: "HTTPS with this chain" },
  "tls-key": { kind: "text", value: "FILE", help: "private key of --tls-cert" },
  ...CONNECTION,
} as const;

/** See the module comment. */
export const nginxConfig: Command = {
  name: "nginx-config",
  summary: "print the configuration of an nginx for downloads",
  usage: [
    "nginx-config [--agent FILE]… [--serve direct|accel] [--listen 80] [--server-name NAME]",
  ],
  about:
    `Prints a complete file for the nginx of your distribution; no module has to be
compiled. nginx sends the files of the agents on this machine from the disk and
asks an agent for everything else. Agents of other machines come from a tracker.

The agents must give nginx leave: set nginx_dir (/run/kedge/nginx), or start
with "kedge start --nginx". The user of nginx must be able to read the store
paths: add it to the group of the agents. When downloads need links, an agent
decides each time; set trusted_proxies to this machine's address.`,
  options: OPTIONS,
  examples: [
    [
      "kedge nginx-config --agent /etc/kedge/agent.json >/etc/nginx/conf.d/kedge.conf",
      "then: nginx -t && systemctl reload nginx",
    ],
    [
      "kedge nginx-config --serve accel --listen 443 --tls-cert chain.pem --tls-key key.pem",
      "HTTPS; an agent decides about every download",
    ],
  ],
  exits: [],
  reads: true,

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    if (words.length > 0) throw new UsageError(`Unexpected word "${words[0]}"`);
    const { env } = context;
    const data = values.data ?? env.KEDGE_DATA ?? "./kedge-data";
    const here = values.agent.length > 0
      ? await Promise.all(
        values.agent.map((file) => agentOfSettings(file, env)),
      )
      : await agentsOfStart(data);
    const client = await openClient(values, context);
    const groups = await allGroups(client).catch((error) => {
      context.signal.throwIfAborted();
      return oneLine(messageOf(error));
    });
    const needsLinks = (env.KEDGE_DOWNLOAD_TOKENS || "off") !== "off";
    const mode = values.serve === undefined && !needsLinks
      ? undefined
      : values.serve === "direct"
      ? "direct"
      : "accel";
    const groupsPlan = planGroups({ here, groups, mode });
    const plan = {
      ...groupsPlan,
      notes: [...groupsPlan.notes, ...await folderNotes(groupsPlan)],
      listen: safeWord("--listen", values.listen),
      serverName: safeWord("--server-name", values["server-name"]),
      accessLog: plainPath("--access-log", values["access-log"]),
      tls: tlsOf(values["tls-cert"], values["tls-key"]),
      caFile: caOf(values.ca, context),
    };
    const conf = nginxConf(plan);
    for (const note of values.json ? [] : plan.notes) {
      context.err.line(`kedge nginx-config: ${note}`);
    }
    context.out.line(
      values.json ? JSON.stringify({ ...plan, conf }) : conf.trimEnd(),
    );
    return EXIT.ok;
  },
};

/** What keeps nginx from files that it is to send by itself. */
async function folderNotes(
  { groups }: Pick<NginxPlan, "groups">,
): Promise<string[]> {
  const folders = groups.flatMap(({ files }) =>
    files === undefined ? [] : [files.linksDir ?? [], ...files.folders].flat()
  );
  return await readNotes(folders, await thisMachine());
}

/** It becomes a part of a directive. */
function safeWord(name: string, text: string): string {
  if (/^[A-Za-z0-9._:*[\]~-]+$/.test(text)) return text;
  throw new UsageError(`${name} cannot be "${text}"`);
}

function plainPath(name: string, path: string): string {
  if (/^[^$;{}\p{Cc}]+$/u.test(path)) return path;
  throw new UsageError(`${name} cannot be "${path}"`);
}

/** It becomes a comment. */
function oneLine(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]+/g, " ").slice(0, 200);
}

function tlsOf(certFile: string | undefined, keyFile: string | undefined) {
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined) {
    throw new UsageError("Give both --tls-cert and --tls-key");
  }
  return { certFile: resolve(certFile), keyFile: resolve(keyFile) };
}

function caOf(
  ca: string | undefined,
  { env }: CommandContext,
): string | undefined {
  const file = ca ?? env.KEDGE_CA;
  return file === undefined ? undefined : resolve(file);
}
