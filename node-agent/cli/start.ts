/** `kedge start`: a tracker and replicated groups on this machine. */

import { resolve } from "node:path";
import {
  hostPortText,
  isLoopback,
  parseHostPort,
  urlOf,
} from "@kedge/schema/config/units";
import { parse, type Values, wholeNumber } from "./args.ts";
import type { Command } from "./command.ts";
import type { CommandContext } from "./context.ts";
import { CliError, messageOf, UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { adminKey } from "./start/admin_key.ts";
import { hintLines } from "./start/hints.ts";
import {
  type Layout,
  layoutOf,
  makeFolders,
  writeWhole,
} from "./start/layout.ts";
import { LocalCluster } from "./start/local_cluster.ts";
import { lockData } from "./start/lock.ts";
import { Operator } from "./start/operator.ts";
import { awaitOrphans } from "./start/orphans.ts";
import { ClusterPlan, draftPlan } from "./start/plan_core.ts";
import { choosePorts } from "./start/ports.ts";
import type { ProgramContext, TlsFiles } from "./start/programs.ts";

const OPTIONS = {
  data: {
    kind: "text",
    value: "DIR",
    fallback: "./kedge-data",
    help: "where everything is kept",
  },
  listen: {
    kind: "text",
    value: "HOST:PORT",
    help:
      "address of the tracker; agents take the next free ports; port 0: any (default 127.0.0.1:8080, or as last time)",
  },
  advertise: {
    kind: "text",
    value: "HOST",
    help: "host in URLs, when --listen is every interface (0.0.0.0)",
  },
  groups: { kind: "text", value: "N", help: "number of groups (default 1)" },
  replicas: {
    kind: "text",
    value: "N",
    help: "agents per group (default 2)",
  },
  level: {
    kind: "text",
    value: "LEVEL",
    choices: ["A", "B", "C"],
    help:
      "A: answered when one node has it, B: all, C: durable on all (default B)",
  },
  access: {
    kind: "text",
    value: "MODE",
    choices: ["open", "key"],
    help: "open: callers on this machine need no key (default on loopback)",
  },
  tls: { kind: "flag", help: "HTTPS, with a local authority made in DATA/tls" },
  "tls-cert": { kind: "text", value: "FILE", help: "HTTPS with this chain" },
  "tls-key": { kind: "text", value: "FILE", help: "private key of --tls-cert" },
} as const;

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
    options: OPTIONS,
    examples: [
      ["kedge start", "a tracker on 127.0.0.1:8080 and a group of two agents"],
      ["kedge start --groups 2 --replicas 3", "six agents in two groups"],
      ["kedge start --tls --level C", "HTTPS, and durable on every replica"],
      [
        "kedge start --data /tmp/try --listen 127.0.0.1:0 --json",
        "any free ports, for scripts",
      ],
    ],

    async run(args, context) {
      const { values, words } = parse(args, OPTIONS);
      if (words.length > 0) {
        throw new UsageError(`Unexpected word "${words[0]}"`);
      }
      const layout = layoutOf(resolve(values.data));
      const say = sayer(context);
      await makeFolders(layout);
      using _lock = lockData(layout.lock);
      await awaitOrphans(layout.running, context.sleep);
      const { plan, tls } = await planOf(layout, values);
      const access = accessOf(values.access, plan.hostname);
      const { key, isNew } = await adminKey(layout.adminKey);
      await writeWhole(layout.cluster, JSON.stringify(plan, null, 2), 0o644);

      const caPem = tls?.caFile === undefined
        ? undefined
        : await Deno.readTextFile(tls.caFile);
      const operator = new Operator(
        context.network(caPem).fetch,
        plan.tracker,
        key,
      );
      const cluster = new LocalCluster(
        { plan, layout, tls, access, env: context.env, entries },
        operator,
        {
          say,
          nowMs: context.nowMs,
          sleep: context.sleep,
          signal: context.signal,
        },
      );
      try {
        if (!values.json) say(`starting in ${values.data} …`);
        await cluster.start(values.level);
        tellReady(context, cluster, {
          plan,
          values,
          access,
          tls,
          newKey: isNew && access === "key" ? key : undefined,
        });
        await untilAborted(context.signal);
      } catch (error) {
        // Ctrl-C while starting is a wish, not a failure.
        if (!context.signal.aborted) throw error;
      } finally {
        if (!values.json) say("stopping …");
        await cluster.stop();
      }
      return EXIT.ok;
    },
  };
}

type StartValues = Values<typeof OPTIONS> & { readonly json: boolean };

async function planOf(
  layout: Layout,
  values: StartValues,
): Promise<{ plan: ClusterPlan; tls: TlsFiles | undefined }> {
  const listen = values.listen === undefined
    ? undefined
    : parseHostPort(values.listen);
  if (values.listen !== undefined && listen === undefined) {
    throw new UsageError(`--listen must be HOST:PORT, got "${values.listen}"`);
  }
  const count = (name: "groups" | "replicas", max: number) => {
    const text = values[name];
    return text === undefined
      ? undefined
      : wholeNumber(`--${name}`, text, { min: 1, max });
  };
  const hasOwnTls = values["tls-cert"] !== undefined ||
    values["tls-key"] !== undefined;
  const drafted = draftPlan(await readPlan(layout.cluster), {
    hostname: listen?.hostname,
    advertise: values.advertise,
    port: listen?.port,
    groups: count("groups", 64),
    replicas: count("replicas", 16),
    tls: values.tls || hasOwnTls ? true : undefined,
  });
  if (!drafted.ok) {
    throw new CliError(
      `Cannot make the cluster smaller: ${drafted.reason}`,
      "drain and remove nodes with `kedge drain N` and `kedge node remove N`",
      EXIT.misused,
    );
  }
  const plan = choosePorts(drafted.draft);
  const tls = plan.tls ? await tlsFiles(layout, values, plan) : undefined;
  const address = { hostname: plan.advertise, port: plan.port };
  return { plan: { ...plan, tracker: urlOf(address, plan.tls) }, tls };
}

/** Open is for this machine only; the tracker would refuse it too. */
function accessOf(
  wanted: string | undefined,
  hostname: string,
): "open" | "key" {
  if (wanted === "open" && !isLoopback(hostname)) {
    throw new UsageError(
      `--access open needs a loopback address, not ${hostname}: others could upload and delete`,
    );
  }
  if (wanted === "key" || !isLoopback(hostname)) return "key";
  return "open";
}

async function readPlan(path: string): Promise<ClusterPlan | undefined> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  try {
    return ClusterPlan.parse(JSON.parse(text));
  } catch (error) {
    throw new CliError(
      `Cannot read ${path}: ${messageOf(error)}`,
      "restore the file, or move it away to choose ports and nodes anew",
    );
  }
}

async function tlsFiles(
  layout: Layout,
  values: StartValues,
  plan: ClusterPlan,
): Promise<TlsFiles> {
  const { "tls-cert": cert, "tls-key": key } = values;
  if ((cert === undefined) !== (key === undefined)) {
    throw new UsageError("--tls-cert and --tls-key belong together");
  }
  if (cert !== undefined && key !== undefined) {
    return {
      certFile: resolve(cert),
      keyFile: resolve(key),
      caFile: undefined,
    };
  }
  const { makeLocalTls } = await import("./start/local_tls.ts");
  return await makeLocalTls(layout.tls, [plan.advertise, plan.hostname]);
}

function tellReady(
  context: CommandContext,
  cluster: LocalCluster,
  facts: {
    readonly plan: ClusterPlan;
    readonly values: StartValues;
    readonly access: "open" | "key";
    readonly tls: TlsFiles | undefined;
    readonly newKey: string | undefined;
  },
): void {
  const { plan, values, access, tls, newKey } = facts;
  const { agents, trackerPid } = cluster;
  if (values.json) {
    context.out.line(JSON.stringify({
      ready: true,
      tracker: plan.tracker,
      agents,
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
  if (newKey !== undefined) {
    context.out.line(
      `The operator's key, shown once (kept in ${values.data}/admin.key):\n  ${newKey}`,
    );
  }
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
