/**
 * FastDFS's addresses in a local cluster. Pure.
 *
 * FastDFS's clients refuse 127.0.0.1, and several storages on one host differ by
 * address, not by port. So the tracker side has one address and the agents have
 * the next ones, all with FastDFS's ports. Source: fastdfs.md §1.
 *
 * @module
 */

import { isIP } from "node:net";

/** Where the tracker side listens when nothing else is said. */
export const FASTDFS_LISTEN = "127.0.10.1";
const TRACKER_PORT = 22122;
const STORAGE_PORT = 23000;

/** Where the gateway of one agent listens, as text. */
export interface FastdfsPlace {
  readonly storage: string;
  readonly tracker: string;
}

/**
 * The addresses of an agent.
 *
 * @param base Address of the tracker side.
 * @param index The agent's, from 1. The first one answers for `base`; the others
 * have a tracker side at their own address, so that clients can know several.
 * @returns `undefined` when `base` is no IPv4 address, or too close to the end
 * of its network.
 */
export function fastdfsPlace(
  base: string,
  index: number,
): FastdfsPlace | undefined {
  const [a, b, c, d] = base.split(".").map(Number);
  if (isIP(base) !== 4 || d === undefined || d + index > 254) return undefined;
  const own = `${a}.${b}.${c}.${d + index}`;
  const tracker = index === 1 ? base : own;
  return {
    storage: `${own}:${STORAGE_PORT}`,
    tracker: `${tracker}:${TRACKER_PORT}`,
  };
}

/**
 * A configuration for FastDFS's clients.
 *
 * @param trackers As {@linkcode fastdfsPlace} gives them.
 * @param folder Exists; clients keep nothing there but want one.
 */
export function clientConf(
  trackers: readonly string[],
  folder: string,
): string {
  return [
    "connect_timeout = 5",
    "network_timeout = 60",
    `base_path = ${folder}`,
    ...trackers.map((tracker) => `tracker_server = ${tracker}`),
    "log_level = info",
    "use_connection_pool = false",
    "connection_pool_max_idle_time = 3600",
    "load_fdfs_parameters_from_tracker = false",
    "use_storage_id = false",
    "http.tracker_server_port = 80",
    "",
  ].join("\n");
}
