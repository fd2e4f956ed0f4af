/** `kedge mirror`: the daemon that runs the mirrored volumes of this host. */

import { resolve } from "node:path";
import { exactly, parse } from "./args.ts";
import type { Command } from "./command.ts";
import type { CommandContext } from "./context.ts";
import { UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { MirrorClient } from "./mirror_client.ts";
import { loadRunMirrorDaemon } from "./mirror_module.ts";
import { ensureDaemon, stopDaemon } from "./mirror/daemon_process.ts";
import { boundOwnLog } from "./mirror/own_log.ts";
import {
  refuseOpenFolder,
  RUN_DIR,
  runDirOf,
  sizesDirOf,
  undoDirOf,
} from "./mirror/run_dir.ts";
import {
  FENCING_OPTIONS,
  fencingEnv,
  fencingOf,
  type FencingValues,
} from "./mirror_fencing.ts";
import { mirrorStatusLines } from "./mirror/status_text.ts";
import { readsWith } from "./readers.ts";

const OPTIONS = {
  ...RUN_DIR,
  ...FENCING_OPTIONS,
  "log-format": {
    kind: "text",
    value: "FORMAT",
    choices: ["text", "json"],
    fallback: "text",
    help: "of the log on standard error",
  },
} as const;

/** See the module comment. */
export const mirror: Command = {
  name: "mirror",
  summary: "run the daemon of the mirrored volumes of this host",
  usage: ["mirror run|start|stop|status [--run-dir DIR]"],
  about:
    `One daemon per host holds the disks of the mirrored volumes, talks to the
peers and serves the volumes over NBD. Commands reach it through the socket
RUN-DIR/mirror.sock, which only its owner may open.

run     stay in the foreground; Ctrl-C stops it in order
start   start it in the background and wait until it answers; its log is
        RUN-DIR/mirror.log. "drbdadm up" does this by itself
stop    end it: exports closed, disks in order, peers told
status  what it runs

A daemon that does not answer is given up after 20 s (KEDGE_PATIENCE).

What it runs is said by "kedge drbdadm up" (drbd.conf) or "kedge volume
create".`,
  options: OPTIONS,
  examples: [
    ["kedge mirror start", "start it, if it does not run"],
    ["kedge mirror status", "one line per volume"],
    ["kedge mirror run --run-dir /tmp/a", "a second one, for a try"],
    [
      "kedge mirror run --tracker https://t1:8080 --token-file join.token",
      "roles are decided by the trackers",
    ],
  ],
  exits: ["unreachable"],
  verbs: ["run", "start", "stop", "status"],
  reads: readsWith(OPTIONS, "status"),

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    const [verb] = exactly(words, "run, start, stop or status");
    const runDir = resolve(runDirOf(values["run-dir"], context.env));
    switch (verb) {
      case "run":
        return await runHere(runDir, values, context);
      case "start": {
        const env = { ...context.env, ...fencingEnv(values) };
        return await start(runDir, values.json, { ...context, env });
      }
      case "stop":
        return await stop(runDir, values.json, context);
      case "status":
        return await show(runDir, values.json, context);
      default:
        throw new UsageError(`Say run, start, stop or status, not "${verb}"`);
    }
  },
};

async function runHere(
  runDir: string,
  values: FencingValues & {
    readonly json: boolean;
    readonly "log-format": string;
  },
  context: CommandContext,
): Promise<number> {
  const { env } = context;
  refuseOpenFolder(runDir);
  const fencing = fencingOf(values, { env, hostname: Deno.hostname() });
  const runMirrorDaemon = await loadRunMirrorDaemon();
  using _log = boundOwnLog(env.KEDGE_LOG_FILE);
  await runMirrorDaemon({
    runDir,
    undoDir: undoDirOf(runDir, env),
    sizesDir: sizesDirOf(runDir),
    fencing,
    log: context.openLog(values["log-format"] === "json" ? "json" : "text"),
    signal: context.signal,
    onReady({ socket }) {
      context.out.line(
        values.json
          ? JSON.stringify({ ready: true, socket, pid: Deno.pid })
          : `the mirror takes commands on ${socket}`,
      );
    },
  });
  return EXIT.ok;
}

async function start(
  runDir: string,
  isJson: boolean,
  context: CommandContext,
): Promise<number> {
  const { isNew, logFile } = await ensureDaemon(runDir, context);
  using client = new MirrorClient(runDir, context);
  const { pid } = await client.status();
  context.out.line(
    isJson
      ? JSON.stringify({ ready: true, started: isNew, pid, log: logFile })
      : isNew
      ? `the mirror runs (process ${pid}, log ${logFile})`
      : `the mirror runs already (process ${pid})`,
  );
  return EXIT.ok;
}

async function stop(
  runDir: string,
  isJson: boolean,
  context: CommandContext,
): Promise<number> {
  using client = new MirrorClient(runDir, context);
  const wasRunning = await client.isRunning();
  if (wasRunning) await stopDaemon(client, context);
  context.out.line(
    isJson
      ? JSON.stringify({ stopped: wasRunning })
      : wasRunning
      ? "the mirror has stopped"
      : "the mirror did not run",
  );
  return EXIT.ok;
}

async function show(
  runDir: string,
  isJson: boolean,
  context: CommandContext,
): Promise<number> {
  using client = new MirrorClient(runDir, context);
  const status = await client.status();
  context.out.line(
    isJson ? JSON.stringify(status) : mirrorStatusLines(status).join("\n"),
  );
  return EXIT.ok;
}
