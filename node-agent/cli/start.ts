/** `kedge start`: a tracker and replicated groups on this machine. */

import { resolve } from "node:path";
import { hostPortText } from "@kedge/schema/config/units";
import { parse } from "./args.ts";
import type { Command } from "./command.ts";
import type { CommandContext } from "./context.ts";
import { UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { hintLines } from "./start/hints.ts";
import { clientConf, fastdfsPlace } from "./start/fastdfs_core.ts";
import {
  type Layout,
  layoutOf,
  makeFolders,
  writeWhole,
} from "./start/layout.ts";
import { LocalCluster, PortTakenError } from "./start/local_cluster.ts";
import { lockData } from "./start/lock.ts";
import { Operator } from "./start/operator.ts";
import { START_OPTIONS, type StartValues } from "./start/options.ts";
import { awaitOrphans } from "./start/orphans.ts";
import type { ProgramContext } from "./start/programs.ts";
import { settle, type Settled } from "./start/settle.ts";

/** How often ports are chosen when other programs take them. */
const TRIES_MAX = 3;

/** See the module comment. */
export const start: Command = startWith(undefined);

/**
 * The command with other programs than ours.
 *
 * @param entries Entries of tracker and agent; `undefined`: ours.
 */
export function startWith(entries: ProgramContext["entries"]): Command {
  return {
    name: "start",
    summary: "run a tracker and a replicated group on this machine",
    usage: [
      "start [--data DIR] [--listen HOST:PORT] [--groups N] [--replicas N] [--tls]",
    ],
    about:
      `Starts one tracker and N agents per group as separate processes, waits until
all agents are in sync, and prints lines to try it. A process that dies is
started again; a second start on the same directory continues where the first
one stopped, with the same nodes and ports. Ctrl-C stops everything.

With --json exactly one line is printed, when everything is ready:
  {"ready":true,"tracker":URL,"agents":[{"node","group","url","pid"}…],"tracker_pid"}
DATA/running.json always has the process numbers of now.

On a loopback address callers on this machine need no key. Elsewhere they do:
the operator's key is shown once and kept in DATA/admin.key.`,
    options: START_OPTIONS,
    examples: [
      ["kedge start", "a tracker on 127.0.0.1:8080 and a group of two agents"],
      ["kedge start --groups 2 --replicas 3", "six agents in two groups"],
      ["kedge start --tls --level C", "HTTPS, and durable on every replica"],
      [
        "kedge start --data /tmp/try --listen 127.0.0.1:0 --json",
        "any free ports, for scripts",
      ],
      ["kedge start --fastdfs", "for FastDFS's clients too"],
      ["kedge start --rebuild-kv", "after DATA/tracker was lost"],
    ],

    async run(args, context) {
      const { values, words } = parse(args, START_OPTIONS);
      if (words.length > 0) {
        throw new UsageError(`Unexpected word "${words[0]}"`);
      }
      const layout = layoutOf(resolve(values.data));
      await makeFolders(layout);
      using _lock = lockData(layout.lock);
      await awaitOrphans(layout.running, context.sleep);
      for (let tries = 1;; tries++) {
        const settled = await settle(layout, values);
        const cluster = await open(settled, { layout, entries, context });
        try {
          await keepRunning(cluster, settled, { values, context });
          return EXIT.ok;
        } catch (error) {
          const isOver = tries === TRIES_MAX;
          if (isOver || !(error instanceof PortTakenError)) throw error;
          sayer(context)("a port was taken meanwhile: choosing others");
        }
      }
    },
  };
}

/** The cluster; nothing runs yet. */
async function open(settled: Settled, given: {
  readonly layout: Layout;
  readonly entries: ProgramContext["entries"];
  readonly context: CommandContext;
}): Promise<LocalCluster> {
  const { plan, tls, access, key, fastdfs, nginx } = settled;
  const { layout, entries, context } = given;
  const caPem = tls?.caFile === undefined
    ? undefined
    : await Deno.readTextFile(tls.caFile);
  const { fetch } = context.network(caPem);
  return new LocalCluster(
    { plan, layout, tls, access, fastdfs, nginx, env: context.env, entries },
    new Operator(fetch, plan.tracker, key),
    {
      say: sayer(context),
      nowMs: context.nowMs,
      sleep: context.sleep,
      signal: context.signal,
    },
  );
}

/** From the first program until Ctrl-C, and the end of the last one. */
async function keepRunning(
  cluster: LocalCluster,
  settled: Settled,
  { values, context }: { values: StartValues; context: CommandContext },
): Promise<void> {
  const { signal } = context;
  const say = values.json ? () => {} : sayer(context);
  try {
    say(`starting in ${values.data} …`);
    const isComplete = values.replicas !== undefined;
    await cluster.start(values.level, isComplete, values["rebuild-kv"]);
    const conf = await writeClientConf(settled, values);
    tellReady(context, cluster, { settled, values });
    const more = [...nginxHint(settled, values), ...conf];
    for (const line of values.json ? [] : more) context.out.line(line);
    await untilAborted(signal);
  } catch (error) {
    // Ctrl-C while starting is a wish, not a failure.
    if (!signal.aborted) throw error;
  } finally {
    say("stopping …");
    await cluster.stop();
  }
}

function tellReady(
  context: CommandContext,
  cluster: LocalCluster,
  { settled, values }: { settled: Settled; values: StartValues },
): void {
  const { plan, access, tls, key, isNewKey } = settled;
  const { agents, trackerPid } = cluster;
  if (values.json) {
    context.out.line(JSON.stringify({
      ready: true,
      tracker: plan.tracker,
      agents,
      ...(cluster.down.length === 0 ? {} : { down: cluster.down }),
      tracker_pid: trackerPid,
    }));
    return;
  }
  const lines = hintLines({
    tracker: plan.tracker,
    agents,
    trackerPid,
    data: values.data,
    access,
    caFile: tls?.caFile,
  });
  context.out.line("kedge is ready" + lines.join("\n"));
  if (access === "open") {
    context.out.line(
      `Callers on this machine need no key (${
        hostPortText(plan)
      }; --access key changes that).`,
    );
  }
  if (isNewKey && access === "key") {
    context.out.line(
      `The operator's key, shown once (kept in ${values.data}/admin.key):\n  ${key}`,
    );
  }
}

/** For FastDFS's clients; what is told about it. */
async function writeClientConf(
  { plan, fastdfs }: Settled,
  values: StartValues,
): Promise<string[]> {
  if (fastdfs === undefined) return [];
  const layout = layoutOf(resolve(values.data));
  const trackers = plan.agents.flatMap(({ index }) =>
    fastdfsPlace(fastdfs, index)?.tracker ?? []
  );
  const conf = clientConf(trackers, layout.data);
  await writeWhole(layout.fastdfsConf, conf, 0o644);
  const told = conf.trimEnd().split("\n").map((line) => `  ${line}`);
  return [
    `FastDFS's clients find the cluster with ${layout.fastdfsConf}:`,
    ...told,
    "For example:",
    `  fdfs_upload_file ${layout.fastdfsConf} FILE`,
  ];
}

/** How nginx gets to the files. */
function nginxHint({ nginx }: Settled, { data }: StartValues): string[] {
  if (!nginx) return [];
  return [
    "nginx may serve the files; its configuration:",
    `  kedge nginx-config --data ${data} >/etc/nginx/conf.d/kedge.conf`,
    "  nginx -t && systemctl reload nginx",
  ];
}

function sayer(context: CommandContext): (line: string) => void {
  return (line) => context.err.line(`kedge start: ${line}`);
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
