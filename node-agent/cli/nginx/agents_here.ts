/**
 * The agents of this machine, from their settings or from a `kedge start`.
 *
 * @module
 */

import { join, resolve } from "node:path";
import { z } from "zod";
import { GroupName, NodeId } from "@kedge/schema";
import { type AgentConfig, readAgentConfig } from "@kedge/schema/config/agent";
import { urlOf } from "@kedge/schema/config/units";
import { CliError, messageOf } from "../errors.ts";
import { layoutOf } from "../start/layout.ts";
import { ClusterPlan } from "../start/plan_core.ts";

/** An agent of this machine. */
export interface AgentHere {
  readonly node: number;
  readonly group: string;
  /** Base URL. */
  readonly url: string;
  /** Its folder of links; `undefined`: it gives nginx no leave. */
  readonly linksDir: string | undefined;
  /** Whether its downloads need links. */
  readonly needsLinks: boolean;
  /** Folders with the files of `M00`, `M01`, …, absolute. */
  readonly folders: readonly string[];
}

/** What is read of `DATA/agent.json`. */
const Known = z.object({
  identity: z.object({ node: NodeId, group: GroupName }),
});

/**
 * An agent by its file of settings (`kedge agent --config FILE`).
 *
 * @param env Settings from the environment count, as for the agent.
 * @throws {CliError} When the file or the agent's identity cannot be read.
 */
export async function agentOfSettings(
  path: string,
  env: Readonly<Record<string, string>>,
): Promise<AgentHere> {
  let config: AgentConfig;
  try {
    const file = JSON.parse(await Deno.readTextFile(path));
    config = readAgentConfig({ flags: {}, env, file });
  } catch (error) {
    throw new CliError(
      `Cannot read the settings of the agent in "${path}": ${messageOf(error)}`,
      "name the file that `kedge agent --config` gets",
    );
  }
  const { downloads, listen, tls } = config;
  const schemes = downloads?.schemes;
  return {
    ...await identityIn(config.dataDir),
    url: config.advertise ?? urlOf(listen, tls !== undefined),
    linksDir: absolute(downloads?.nginxDir),
    needsLinks: schemes?.signed === true || schemes?.fastdfs === true,
    folders: config.storePaths.map((folder) => resolve(folder, "data")),
  };
}

/** The agents of a `kedge start`, or none. */
export async function agentsOfStart(data: string): Promise<AgentHere[]> {
  const layout = layoutOf(resolve(data));
  const text = await Deno.readTextFile(layout.cluster).catch(() => undefined);
  if (text === undefined) return [];
  const plan = ClusterPlan.parse(JSON.parse(text));
  return await Promise.all(plan.agents.map(async ({ index, port }) => {
    const folder = layout.node(index);
    const links = join(folder, "nginx");
    const gives = await Deno.stat(links).then(() => true, () => false);
    return {
      ...await identityIn(folder),
      url: urlOf({ hostname: plan.advertise, port }, plan.tls),
      linksDir: gives ? links : undefined,
      needsLinks: false,
      folders: [join(folder, "store", "data")],
    };
  }));
}

async function identityIn(dataDir: string) {
  const file = join(dataDir, "agent.json");
  try {
    const known = Known.parse(JSON.parse(await Deno.readTextFile(file)));
    return known.identity;
  } catch (error) {
    throw new CliError(
      `Cannot read who the agent is from "${file}": ${messageOf(error)}`,
      "start the agent once, and run this as a user who may read that file",
    );
  }
}

function absolute(path: string | undefined): string | undefined {
  return path === undefined ? undefined : resolve(path);
}
