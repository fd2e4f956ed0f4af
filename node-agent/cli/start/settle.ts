/**
 * From options and what an earlier start left to everything that is fixed before
 * the first program runs: plan, certificates, access, key.
 *
 * @module
 */

import { resolve } from "node:path";
import { isLoopback, parseHostPort, urlOf } from "@kedge/schema/config/units";
import { wholeNumber } from "../args.ts";
import { CliError, messageOf, UsageError } from "../errors.ts";
import { EXIT } from "../exit_codes.ts";
import { adminKey } from "./admin_key.ts";
import { FASTDFS_LISTEN, fastdfsPlace } from "./fastdfs_core.ts";
import { type Layout, writeWhole } from "./layout.ts";
import type { StartValues } from "./options.ts";
import { ClusterPlan, draftPlan } from "./plan_core.ts";
import { choosePorts } from "./ports.ts";
import type { TlsFiles } from "./programs.ts";

/** What is fixed before the first program runs. */
export interface Settled {
  readonly plan: ClusterPlan;
  readonly tls: TlsFiles | undefined;
  readonly access: "open" | "key";
  /** The operator's key, and whether it was made just now. */
  readonly key: string;
  readonly isNewKey: boolean;
  /** FastDFS's protocol: address of its tracker side. */
  readonly fastdfs?: string | undefined;
  /** Whether nginx may serve files of the agents. */
  readonly nginx: boolean;
}

/**
 * Fix everything, and keep the plan for the next start.
 *
 * @param layout The data directory; we hold its lock.
 * @param values What stood on the command line.
 * @throws {UsageError} For options that cannot be.
 * @throws {CliError} For a plan that cannot be read, a cluster that would get
 * smaller, or a port that is taken.
 */
export async function settle(
  layout: Layout,
  values: StartValues,
): Promise<Settled> {
  const { plan, tls } = await planOf(layout, values);
  const access = accessOf(values.access, plan);
  const fastdfs = fastdfsOf(values, plan);
  const nginx = nginxOf(values, plan);
  const kept = {
    ...plan,
    fastdfs,
    nginx: nginx || undefined,
    access: values.access === undefined ? plan.access : access,
  };
  const { key, isNew } = await adminKey(layout.adminKey);
  await writeWhole(layout.cluster, JSON.stringify(kept, null, 2), 0o644);
  return { plan: kept, tls, access, key, isNewKey: isNew, fastdfs, nginx };
}

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
  const old = await readPlan(layout.cluster);
  const drafted = draftPlan(old, {
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
  const own = plan.tls ? ownTls(values, old) : undefined;
  const tls = !plan.tls
    ? undefined
    : own === undefined
    ? await localTls(layout, plan)
    : { certFile: own.cert, keyFile: own.key, caFile: undefined };
  const address = { hostname: plan.advertise, port: plan.port };
  const tracker = urlOf(address, plan.tls);
  const { fastdfs, nginx, access } = old ?? {};
  const kept = { fastdfs, nginx, access, tlsFiles: own };
  return { plan: { ...plan, tracker, ...kept }, tls };
}

/** As the last start had it, unless more is said. */
function nginxOf(values: StartValues, { nginx: kept }: ClusterPlan): boolean {
  const { nginx, "no-nginx": isOff } = values;
  if (nginx && isOff) {
    throw new UsageError("--nginx and --no-nginx exclude one another");
  }
  return !isOff && (nginx || kept === true);
}

/** As the last start had it, unless more is said; every agent must fit. */
function fastdfsOf(
  values: StartValues,
  { agents, fastdfs: kept }: ClusterPlan,
): string | undefined {
  const wanted = values["fastdfs-listen"];
  if (wanted === "off") return undefined;
  const base = wanted ?? kept ?? (values.fastdfs ? FASTDFS_LISTEN : undefined);
  if (base === undefined) return undefined;
  const last = Math.max(...agents.map(({ index }) => index));
  if (fastdfsPlace(base, last) !== undefined) return base;
  throw new UsageError(
    `--fastdfs-listen must be an IPv4 address with ${last} more behind it, got "${base}"`,
  );
}

/**
 * As the last start had it, unless more is said. Open is for this machine only;
 * the tracker would refuse it too.
 */
function accessOf(
  wanted: string | undefined,
  { hostname, access: kept }: ClusterPlan,
): "open" | "key" {
  if (wanted === "open" && !isLoopback(hostname)) {
    throw new UsageError(
      `--access open needs a loopback address, not ${hostname}: others could upload and delete`,
    );
  }
  if ((wanted ?? kept) === "key" || !isLoopback(hostname)) return "key";
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

/**
 * Certificates of somebody else's authority: what is said, or as the last start
 * had it unless --tls asks for ours.
 */
function ownTls(
  values: StartValues,
  old: ClusterPlan | undefined,
): ClusterPlan["tlsFiles"] {
  const { "tls-cert": cert, "tls-key": key } = values;
  if ((cert === undefined) !== (key === undefined)) {
    throw new UsageError("--tls-cert and --tls-key belong together");
  }
  if (cert !== undefined && key !== undefined) {
    return { cert: resolve(cert), key: resolve(key) };
  }
  return values.tls ? undefined : old?.tlsFiles;
}

async function localTls(layout: Layout, plan: ClusterPlan): Promise<TlsFiles> {
  const { makeLocalTls } = await import("./local_tls.ts");
  return await makeLocalTls(layout.tls, [plan.advertise, plan.hostname]);
}
