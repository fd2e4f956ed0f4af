/**
 * Which programs `kedge start` runs, on which ports. Pure.
 *
 * The plan is kept in `DATA/cluster.json`, so that a second start has the same
 * nodes at the same addresses. It may grow (`--groups`, `--replicas`), never
 * shrink: a node leaves with `kedge node remove`.
 *
 * @module
 */

import { z } from "zod";
import { GroupName } from "@kedge/schema";

const Port = z.int().min(1).max(65_535);

/** One agent of the plan. */
export const PlannedAgent = z.object({
  /** Folder `DATA/node-INDEX`; from 1. The tracker gives the node's number. */
  index: z.int().min(1),
  /** Its group. */
  group: GroupName,
  /** TCP port of its HTTP door. */
  port: Port,
  /** TCP port for its peers. */
  peerPort: Port,
});
/** One agent of the plan. */
export type PlannedAgent = z.infer<typeof PlannedAgent>;

/** Content of `DATA/cluster.json`. */
export const ClusterPlan = z.object({
  version: z.literal(1),
  /** Host that everything listens on. */
  hostname: z.string().min(1),
  /** Host in URLs: differs from `hostname` when that is every interface. */
  advertise: z.string().min(1),
  /** TCP port of the tracker. */
  port: Port,
  /** URL of the tracker, for clients that find this file. */
  tracker: z.string(),
  /** Number of groups. */
  groups: z.int().min(1).max(64),
  /** Agents per group. */
  replicas: z.int().min(1).max(16),
  /** Whether everything speaks HTTPS. */
  tls: z.boolean(),
  /** FastDFS's protocol: address of its tracker side; off when missing. */
  fastdfs: z.string().optional(),
  /** Whether nginx may serve files of the agents; not when missing. */
  nginx: z.boolean().optional(),
  /** Who needs a key, as was asked for; by the address when missing. */
  access: z.enum(["open", "key"]).optional(),
  /** Chain and key of somebody else's authority, PEM files; ours when missing. */
  tlsFiles: z.object({ cert: z.string(), key: z.string() }).optional(),
  agents: z.array(PlannedAgent),
});
/** Content of `DATA/cluster.json`. */
export type ClusterPlan = z.infer<typeof ClusterPlan>;

/** What the command line asks for; what is missing stays as it was. */
export interface Wanted {
  readonly hostname: string | undefined;
  /** Host in URLs. */
  readonly advertise: string | undefined;
  /** 0 lets the system choose, or keeps the port of the last start. */
  readonly port: number | undefined;
  readonly groups: number | undefined;
  readonly replicas: number | undefined;
  readonly tls: boolean | undefined;
}

/** Where `kedge start` listens when nothing else is said. */
export const DEFAULTS = {
  hostname: "127.0.0.1",
  port: 8080,
  groups: 1,
  replicas: 2,
} as const;

/** A plan whose ports are still to be found. */
export interface Draft {
  readonly hostname: string;
  /** Host in URLs; `undefined`: `hostname`, or one of this machine's. */
  readonly advertise: string | undefined;
  readonly groups: number;
  readonly replicas: number;
  readonly tls: boolean;
  /** Port wanted for the tracker. */
  readonly port: number;
  /** Whether another port will do. */
  readonly isPortFree: boolean;
  readonly agents: readonly {
    readonly index: number;
    readonly group: string;
    /** Ports of the last start, if there was one. */
    readonly port: number | undefined;
    readonly peerPort: number | undefined;
  }[];
}

/** A draft, or why there is none. */
export type Drafted =
  | { readonly ok: true; readonly draft: Draft }
  | { readonly ok: false; readonly reason: string };

/**
 * Bring together what was and what is wanted.
 *
 * @param old The plan of the last start, if any.
 * @param wanted What the command line asks for.
 * @returns A draft, or the reason why it cannot be.
 */
export function draftPlan(
  old: ClusterPlan | undefined,
  wanted: Wanted,
): Drafted {
  const groups = wanted.groups ?? old?.groups ?? DEFAULTS.groups;
  const replicas = wanted.replicas ?? old?.replicas ?? DEFAULTS.replicas;
  if (old !== undefined && groups < old.groups) {
    return refuse("groups", old.groups, groups);
  }
  if (old !== undefined && replicas < old.replicas) {
    return refuse("replicas", old.replicas, replicas);
  }
  const hostname = wanted.hostname ?? old?.hostname ?? DEFAULTS.hostname;
  const port = wanted.port ?? old?.port ?? DEFAULTS.port;
  return {
    ok: true,
    draft: {
      hostname,
      advertise: wanted.advertise ??
        (hostname === old?.hostname ? old.advertise : undefined),
      groups,
      replicas,
      tls: wanted.tls ?? old?.tls ?? false,
      port: port === 0 ? old?.port ?? 0 : port,
      isPortFree: port === 0,
      agents: draftAgents(old?.agents ?? [], groups, replicas),
    },
  };
}

function draftAgents(
  old: readonly PlannedAgent[],
  groups: number,
  replicas: number,
): Draft["agents"] {
  const agents: Draft["agents"][number][] = [...old];
  let index = Math.max(0, ...old.map((agent) => agent.index));
  for (let number = 1; number <= groups; number++) {
    const group = `group${number}`;
    const have = old.filter((agent) => agent.group === group).length;
    for (let more = have; more < replicas; more++) {
      index++;
      agents.push({ index, group, port: undefined, peerPort: undefined });
    }
  }
  return agents;
}

function refuse(what: string, had: number, asked: number): Drafted {
  return {
    ok: false,
    reason: `this data directory has ${had} ${what}, asked for ${asked}`,
  };
}
