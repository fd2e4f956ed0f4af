/**
 * Settings of the FastDFS gateway of an agent.
 *
 * @module
 */

import { isIP } from "node:net";
import { z } from "zod";
import { isAllowedHost, LOOPBACK_HOSTS } from "./allow_hosts.ts";
import { list, number, parsed, toggle } from "./fields.ts";
import { type HostPort, parseHostPort } from "./units.ts";

/** The settings, by name. */
export const FASTDFS_SETTINGS = {
  fastdfs: toggle().default(false).describe(
    "Speak FastDFS's protocol as well. It knows no keys: whoever may connect may read, upload and delete.",
  ),
  fastdfs_listen: parsed(parseIpPort, "IP:PORT").prefault("127.0.10.2:23000")
    .describe("Where FastDFS's clients find this storage."),
  fastdfs_tracker_listen: parsed(parseIpPort, "IP:PORT")
    .prefault("127.0.10.1:22122")
    .describe("Where FastDFS's clients find a tracker (`tracker_server`)."),
  fastdfs_advertise: parsed(parseIpPort, "IP:PORT").optional().describe(
    "Address that FastDFS's clients are sent to; `fastdfs_listen` when missing.",
  ),
  fastdfs_allow_hosts: list(
    z.string().refine(isAllowedHost, {
      error: "is no address, range, network or *",
    }),
  ).default([...LOOPBACK_HOSTS]).describe(
    "Who may use it: `10.0.1.20`, `10.0.1.[1-15,20]`, `192.168.5.0/26`, `*`; only this machine unless said.",
  ),
  fastdfs_read_only: toggle().default(false)
    .describe("FastDFS's clients may read and nothing else."),
  fastdfs_lists: z.enum(["6", "5"]).default("6").describe(
    "Layout of lists of groups and storages: `5` for clients that know no newer one.",
  ),
  fastdfs_access_log: z.string().startsWith("/", {
    error: "must be the full path of a file, such as /var/log/kedge/access.log",
  }).optional().describe(
    "File that gets one line per request of FastDFS's clients; none when missing. Rotate it by moving it.",
  ),
  fastdfs_connections_max: number(1, 100_000).default(1024)
    .describe("Most connections of FastDFS's clients (`max_connections`)."),
};

const FastdfsSettings = z.object(FASTDFS_SETTINGS);

/** Complete settings of a gateway. */
export interface FastdfsConfig {
  /** Storage side. */
  readonly listen: HostPort;
  /** Tracker side. */
  readonly trackerListen: HostPort;
  /** For clients; `undefined`: the address really bound. */
  readonly advertise: HostPort | undefined;
  readonly allowHosts: readonly string[];
  readonly isReadOnly: boolean;
  readonly connectionsMax: number;
  /** Layout of lists, by FastDFS's version. */
  readonly lists: "5" | "6";
  /** File for one line per request. */
  readonly accessLog?: string | undefined;
}

/** The settings of a gateway; `undefined` when it is off. */
export function fastdfsConfig(
  settings: z.infer<typeof FastdfsSettings>,
): FastdfsConfig | undefined {
  if (!settings.fastdfs) return undefined;
  return {
    listen: settings.fastdfs_listen,
    trackerListen: settings.fastdfs_tracker_listen,
    advertise: settings.fastdfs_advertise,
    allowHosts: settings.fastdfs_allow_hosts,
    isReadOnly: settings.fastdfs_read_only,
    connectionsMax: settings.fastdfs_connections_max,
    lists: settings.fastdfs_lists,
    ...(settings.fastdfs_access_log === undefined
      ? {}
      : { accessLog: settings.fastdfs_access_log }),
  };
}

/** What contradicts itself, one line each. */
export function fastdfsContradictions(
  settings: z.infer<typeof FastdfsSettings>,
): string[] {
  const { hostname } = settings.fastdfs_listen;
  const isEverywhere = hostname === "0.0.0.0" || hostname === "::";
  if (!settings.fastdfs || !isEverywhere) return [];
  return settings.fastdfs_advertise !== undefined ? [] : [
    "fastdfs_advertise: needed because `fastdfs_listen` is every interface; give the address that clients are sent to",
  ];
}

/** The protocol carries addresses, not names. */
function parseIpPort(text: string): HostPort | undefined {
  const found = parseHostPort(text);
  return found !== undefined && isIP(found.hostname) !== 0 ? found : undefined;
}
