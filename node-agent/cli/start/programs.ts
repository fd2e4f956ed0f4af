/** How the tracker and the agents of a local cluster are started. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { hostPortText, urlOf } from "@kedge/schema/config/units";
import { fastdfsPlace } from "./fastdfs_core.ts";
import type { Layout } from "./layout.ts";
import type { ClusterPlan, PlannedAgent } from "./plan_core.ts";
import { PEER_HOST } from "./ports.ts";
import type { ProgramSpec } from "./program.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

/** Variables that programs inherit; nothing else of ours reaches them. */
const INHERITED = [
  "PATH",
  "HOME",
  "TMPDIR",
  "TZ",
  "LANG",
  "NO_COLOR",
  "DENO_DIR",
  "DENO_CERT",
  "DENO_TLS_CA_STORE",
  "NPM_CONFIG_REGISTRY",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "LD_LIBRARY_PATH",
  "LD_PRELOAD",
] as const;

/** Files for HTTPS. */
export interface TlsFiles {
  /** Certificate chain, PEM. */
  readonly certFile: string;
  /** Private key, PEM. */
  readonly keyFile: string;
  /** Authority to trust, PEM; `undefined`: those that Deno knows. */
  readonly caFile: string | undefined;
}

/** What every program of one cluster shares. */
export interface ProgramContext {
  readonly plan: ClusterPlan;
  readonly layout: Layout;
  readonly tls: TlsFiles | undefined;
  readonly access: "open" | "key";
  /** FastDFS's protocol: address of its tracker side; off when missing. */
  readonly fastdfs?: string | undefined;
  /** Whether nginx may serve files of the agents. */
  readonly nginx?: boolean;
  /** Programs to run; ours when missing. Tests pass others. */
  readonly entries:
    | { readonly tracker: string; readonly agent: string }
    | undefined;
  /** Environment of the supervisor. */
  readonly env: Readonly<Record<string, string>>;
}

/** The tracker. */
export function trackerSpec(context: ProgramContext): ProgramSpec {
  const { plan, layout, tls, access, env } = context;
  return {
    name: "tracker",
    args: denoArgs(
      context.entries?.tracker ?? join(ROOT, "functions", "serve.ts"),
      [],
    ),
    env: {
      ...inherited(env),
      ...ours(env),
      KEDGE_LISTEN: hostPortText(plan),
      KEDGE_KV: layout.kv,
      KEDGE_ACCESS: access,
      KEDGE_ADMIN_KEY_FILE: layout.adminKey,
      ...(tls === undefined ? {} : {
        KEDGE_TLS_CERT: tls.certFile,
        KEDGE_TLS_KEY: tls.keyFile,
      }),
    },
    logFile: layout.log("tracker"),
  };
}

/** One agent; its first start finds the join token in `tokenFile`. */
export function agentSpec(
  context: ProgramContext,
  agent: PlannedAgent,
  onLine: (line: string) => void,
): ProgramSpec {
  const { plan, layout, tls, env } = context;
  const data = layout.node(agent.index);
  const { port, peerPort } = agent;
  const place = context.fastdfs === undefined
    ? undefined
    : fastdfsPlace(context.fastdfs, agent.index);
  const flags: Record<string, string | undefined> = {
    data,
    tracker: plan.tracker,
    listen: hostPortText({ hostname: plan.hostname, port }),
    advertise: urlOf({ hostname: plan.advertise, port }, plan.tls),
    // All agents are on this machine: nobody else needs that door.
    "peer-listen": hostPortText({ hostname: PEER_HOST, port: peerPort }),
    "store-path": join(data, "store"),
    group: agent.group,
    "token-file": tokenFile(layout, agent),
    "tls-cert": tls?.certFile,
    "tls-key": tls?.keyFile,
    ca: tls?.caFile,
    "fastdfs-listen": place?.storage,
    "fastdfs-tracker-listen": place?.tracker,
    ...(context.nginx === true ? nginxFlags(data, env) : {}),
  };
  const words = Object.entries(flags).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, value]
  );
  if (place !== undefined) words.push("--fastdfs");
  return {
    name: `node-${agent.index}`,
    args: denoArgs(
      context.entries?.agent ?? join(ROOT, "node-agent", "main.ts"),
      [
        "agent",
        "--json",
        ...words,
      ],
    ),
    env: { ...inherited(env), ...ours(env) },
    logFile: layout.log(`node-${agent.index}`),
    onLine,
  };
}

/** With links every download is decided by an agent, which then tells nginx. */
function nginxFlags(
  data: string,
  env: Readonly<Record<string, string>>,
): Record<string, string | undefined> {
  const needsLinks = (env.KEDGE_DOWNLOAD_TOKENS || "off") !== "off";
  return {
    "nginx-dir": needsLinks ? undefined : join(data, "nginx"),
    "trusted-proxies": "127.0.0.0/8",
  };
}

/** Where the join token of an agent lies until it has joined. */
export function tokenFile(layout: Layout, agent: PlannedAgent): string {
  return join(layout.node(agent.index), "join.token");
}

/** Arguments for `deno` that run one of our entries. */
export function denoArgs(entry: string, args: readonly string[]): string[] {
  return [
    "run",
    "-A",
    "--quiet",
    "--no-prompt",
    "--config",
    join(ROOT, "deno.json"),
    "--preload",
    join(ROOT, "node-agent", "cli", "start", "stop_with_parent.ts"),
    entry,
    ...args,
  ];
}

/** The variables of `env` that every program inherits. */
export function inherited(
  env: Readonly<Record<string, string>>,
): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of INHERITED) {
    for (const spelling of [name, name.toLowerCase()]) {
      const value = env[spelling];
      if (value !== undefined) found[spelling] = value;
    }
  }
  return found;
}

/**
 * Variables of a cluster that is not ours, or of its clients: they must not
 * reach our programs, whose addresses, files and secrets we choose.
 */
const NOT_OURS: ReadonlySet<string> = new Set([
  "KEDGE_ADMIN_KEY",
  "KEDGE_ADVERTISE",
  "KEDGE_API_KEY",
  "KEDGE_CA",
  "KEDGE_DATA",
  "KEDGE_FASTDFS",
  "KEDGE_FASTDFS_ADVERTISE",
  "KEDGE_FASTDFS_LISTEN",
  "KEDGE_FASTDFS_TRACKER_LISTEN",
  "KEDGE_GROUP",
  "KEDGE_JOIN_TOKEN",
  "KEDGE_KEY_FILE",
  "KEDGE_KV",
  "KEDGE_LISTEN",
  "KEDGE_NGINX_DIR",
  "KEDGE_PEER_ADVERTISE",
  "KEDGE_STORE_PATHS",
  "KEDGE_TLS_CERT",
  "KEDGE_TLS_KEY",
  "KEDGE_TRACKER",
]);

/** Settings of trackers and agents that a user may choose for all of them. */
function ours(env: Readonly<Record<string, string>>): Record<string, string> {
  return {
    // A local cluster is for trying out: a nearly full laptop must do.
    KEDGE_RESERVED_STORAGE_SPACE: "1%",
    ...Object.fromEntries(
      Object.entries(env).filter(([name]) =>
        name.startsWith("KEDGE_") && !NOT_OURS.has(name)
      ),
    ),
  };
}
