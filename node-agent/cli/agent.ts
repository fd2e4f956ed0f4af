/** `kedge agent`: serve the disks of this host, or rebuild their index. */

import { Problem, PROBLEMS } from "@kedge/schema";
import {
  type AgentConfig,
  type AgentSetting,
  agentSettings,
  readAgentConfig,
} from "@kedge/schema/config/agent";
import { settingsToStart } from "./config/load_fastdfs.ts";
import { loadRebuildIndex, loadRunAgent } from "./agent_module.ts";
import { type Option, type OptionTable, parse } from "./args.ts";
import type { Command } from "./command.ts";
import type { CommandContext } from "./context.ts";
import { CliError, messageOf, UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";

const SETTINGS: readonly AgentSetting[] = agentSettings();

const OPTIONS: OptionTable = {
  config: { kind: "text", value: "FILE", help: "settings as a JSON object" },
  "fastdfs-conf": {
    kind: "list",
    value: "FILE",
    help:
      "FastDFS's storage.conf and tracker.conf, as they are; other settings win",
  },
  ...Object.fromEntries(
    SETTINGS.flatMap((setting): [string, Option][] =>
      setting.flag === undefined
        ? []
        : [[setting.flag.replace(/^--/, ""), optionOf(setting)]]
    ),
  ),
};

/** See the module comment. */
export const agent: Command = {
  name: "agent",
  summary: "run a node agent, or rebuild its index",
  usage: [
    "agent --data DIR --tracker URL --listen HOST:PORT --peer-listen HOST:PORT",
    "agent rebuild-index --data DIR [--store-path DIR]…",
  ],
  about:
    `An agent owns the disks of one host and keeps them equal to those of its
group. The first start needs a join token: make one with
"kedge token create", put it into a file, and name it with --token-file (or
set KEDGE_JOIN_TOKEN). Later starts need neither.

Every setting is a flag, an environment variable (KEDGE_UPLOAD_PRIORITY) and a
line in the file of --config ({"upload_priority": 10}); the flag wins.
--fastdfs-conf takes FastDFS's own files: "kedge config import" says what becomes
of each key.

"rebuild-index" makes the database again from the files on disk. Stop the
agent first.`,
  options: OPTIONS,
  examples: [
    [
      "kedge agent --data /srv/kedge --tracker https://t1:8080 --listen 10.0.0.5:8081 --peer-listen 10.0.0.5:9081 --token-file token",
      "join the cluster and serve one folder",
    ],
    [
      "kedge agent --config /etc/kedge/agent.json",
      "the same with a file of settings",
    ],
    [
      "kedge agent --fastdfs-conf /etc/fdfs/storage.conf --fastdfs-conf /etc/fdfs/tracker.conf --token-file token",
      "in the place of fdfs_storaged",
    ],
  ],
  verbs: ["rebuild-index"],
  exits: ["unreachable"],

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    const [verb, ...more] = words;
    if (more.length > 0 || (verb !== undefined && verb !== "rebuild-index")) {
      throw new UsageError(`Unexpected word "${more[0] ?? verb}"`);
    }
    const config = await settingsFrom(values, context);
    const isJson = values.json === true;
    try {
      return verb === "rebuild-index"
        ? await rebuild(config, context, isJson)
        : await serve(config, context, isJson);
    } catch (error) {
      throw expected(error, context);
    }
  },
};

/**
 * The agent's own refusals, and plain errors of its start, say what to do;
 * anything else is a bug and keeps its trace.
 */
function expected(error: unknown, context: CommandContext): unknown {
  if (error instanceof Problem) {
    const next = error.slug === "invalid-request"
      ? "kedge agent --help"
      : PROBLEMS[error.slug].next;
    return new CliError(error.message, next);
  }
  const isPlain = error instanceof Error && error.name === "Error";
  return isPlain && !context.env.KEDGE_DEBUG
    ? new CliError(messageOf(error))
    : error;
}

function optionOf(setting: AgentSetting): Option {
  const { description, fallback, isList, isToggle } = setting;
  return {
    kind: isToggle ? "flag" : isList ? "list" : "text",
    // The default is shown but not set here: the file and the environment
    // stand between the flag and the default.
    help: description +
      (fallback === undefined || isToggle ? "" : ` (default ${fallback})`),
  };
}

async function settingsFrom(
  values: Readonly<Record<string, unknown>>,
  context: CommandContext,
): Promise<AgentConfig> {
  const flags: Record<string, unknown> = {};
  for (const { name, flag } of SETTINGS) {
    const value = values[flag?.replace(/^--/, "") ?? ""];
    // A switch that is not given says nothing: the environment may.
    const isMissing = value === undefined || value === false ||
      (Array.isArray(value) && value.length === 0);
    if (!isMissing) flags[name] = value;
  }
  const file = typeof values.config === "string"
    ? await readJson(values.config)
    : undefined;
  const confs = values["fastdfs-conf"];
  const said = Array.isArray(confs) && confs.length > 0
    ? settingsToStart(confs, "agent")
    : undefined;
  for (const hint of said?.hints ?? []) {
    context.err.line(`kedge agent: ${hint}`);
  }
  const fastdfs = said?.agent ?? {};
  try {
    return readAgentConfig({ flags, env: context.env, file, fastdfs });
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await Deno.readTextFile(path));
  } catch (error) {
    throw new CliError(
      `Cannot read the settings in "${path}": ${messageOf(error)}`,
      "mend the file; it must hold one JSON object",
      EXIT.misused,
    );
  }
}

async function serve(
  config: AgentConfig,
  context: CommandContext,
  isJson: boolean,
): Promise<number> {
  const runAgent = await loadRunAgent();
  await runAgent(config, {
    log: context.openLog(config.logFormat, config.logLevel),
    signal: context.signal,
    onReady(ready) {
      context.out.line(
        isJson
          ? JSON.stringify({ ready: true, ...ready, pid: Deno.pid })
          : `node ${ready.node} of ${ready.group} serves ${ready.url}`,
      );
    },
  });
  return EXIT.ok;
}

async function rebuild(
  config: AgentConfig,
  context: CommandContext,
  isJson: boolean,
): Promise<number> {
  const rebuildIndex = await loadRebuildIndex();
  const report = await rebuildIndex(config, (line: string) => {
    if (!isJson) context.err.line(line);
  });
  context.out.line(
    isJson
      ? JSON.stringify(report)
      : `${report.files} files are in the index; ${report.damaged} are damaged and will be fetched from the group; ${report.strange} names are no file IDs and were left alone`,
  );
  return EXIT.ok;
}
