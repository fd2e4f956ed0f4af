/** Free TCP ports for a draft. */

import type { ClusterPlan, Draft, PlannedAgent } from "./plan_core.ts";
import { CliError } from "../errors.ts";

/** Where agents of one machine listen for each other, wherever clients connect. */
export const PEER_HOST = "127.0.0.1";

/** How far above the wanted port a free one is looked for. */
const PORTS_TRIED = 200;

/**
 * Choose the ports of a plan: those of the last start where they are free,
 * otherwise the next free ones above the tracker's.
 *
 * @throws {CliError} When the tracker's port is taken and was asked for.
 */
export function choosePorts(draft: Draft): ClusterPlan {
  const { hostname } = draft;
  const taken = new Set<number>();
  const port = trackerPort(draft);
  taken.add(port);
  const next = (wanted: number | undefined, host = hostname) => {
    const found = wanted !== undefined && isUsable(wanted, host, taken)
      ? wanted
      : nextFree(port + 1, host, taken);
    taken.add(found);
    return found;
  };
  const agents: PlannedAgent[] = draft.agents.map((agent) => ({
    ...agent,
    port: next(agent.port),
    peerPort: 0,
  }));
  for (const [at, agent] of agents.entries()) {
    agent.peerPort = next(draft.agents[at]?.peerPort, PEER_HOST);
  }
  return {
    version: 1,
    hostname,
    advertise: draft.advertise ?? hostOfUrls(hostname),
    port,
    tracker: "",
    groups: draft.groups,
    replicas: draft.replicas,
    tls: draft.tls,
    agents,
  };
}

/** A host for URLs: `0.0.0.0` can be listened on but not connected to. */
function hostOfUrls(hostname: string): string {
  if (hostname !== "0.0.0.0" && hostname !== "::") return hostname;
  const outside = Deno.networkInterfaces().find(({ family, address }) =>
    family === "IPv4" && !address.startsWith("127.")
  );
  return outside?.address ?? "127.0.0.1";
}

function trackerPort(draft: Draft): number {
  if (draft.port !== 0 && isFree(draft.port, draft.hostname)) return draft.port;
  if (draft.isPortFree) return anyFree(draft.hostname);
  throw new CliError(
    `Port ${draft.port} on ${draft.hostname} is taken by another program`,
    `kedge start --listen ${draft.hostname}:0   (or another port)`,
  );
}

function nextFree(from: number, hostname: string, taken: Set<number>): number {
  for (let port = from; port < from + PORTS_TRIED && port < 65_536; port++) {
    if (isUsable(port, hostname, taken)) return port;
  }
  return anyFree(hostname);
}

function isUsable(port: number, hostname: string, taken: Set<number>): boolean {
  return !taken.has(port) && isFree(port, hostname);
}

function isFree(port: number, hostname: string): boolean {
  try {
    Deno.listen({ hostname, port }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return false;
    if (error instanceof Deno.errors.PermissionDenied) return false;
    throw new CliError(
      `Cannot listen on ${hostname}: ${(error as Error).message}`,
      "use an address of this host with --listen",
    );
  }
}

function anyFree(hostname: string): number {
  const listener = Deno.listen({ hostname, port: 0 });
  listener.close();
  return listener.addr.port;
}
