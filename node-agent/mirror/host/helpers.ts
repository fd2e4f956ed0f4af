/**
 * Runs the handlers of a configuration (`split-brain`, `fence-peer`, …) with
 * the environment that DRBD gives them.
 *
 * Source: reference of DRBD, §2.9.
 *
 * @module
 */

import type { ResourceConfig } from "@kedge/schema/drbd-conf";
import type { VolumeSpec } from "../worker_messages.ts";

/** How long a handler may run, in ms; then it counts as broken. */
const HANDLER_MS = 300_000;
/** The exit code of a handler that could not be run. */
const NOT_RUN = 127;

/**
 * Run a handler.
 *
 * @returns Its exit code; 0 when none is configured.
 */
export async function runHandler(
  config: ResourceConfig,
  volume: VolumeSpec,
  name: string,
): Promise<number> {
  const handlers: Readonly<Record<string, string | undefined>> =
    config.handlers;
  const line = handlers[name];
  if (line === undefined) return 0;
  try {
    const { code } = await new Deno.Command("/bin/sh", {
      args: ["-c", line],
      env: environmentOf(config, volume),
      stdin: "null",
      stdout: "null",
      stderr: "null",
      signal: AbortSignal.timeout(HANDLER_MS),
    }).output();
    return code;
  } catch {
    return NOT_RUN;
  }
}

/** DRBD's variables for a handler. */
export function environmentOf(
  config: ResourceConfig,
  volume: VolumeSpec,
): Record<string, string> {
  const [peer] = config.peers;
  const address = peer?.paths[0].remote;
  return {
    DRBD_RESOURCE: config.name,
    DRBD_VOLUME: String(volume.volume),
    DRBD_MINOR: String(volume.minor),
    DRBD_LL_DISK: volume.paths?.disk ?? "",
    DRBD_PEER: peer?.name ?? "",
    DRBD_PEERS: config.peers.map(({ name }) => name).join(" "),
    DRBD_PEER_AF: address?.family ?? "",
    DRBD_PEER_ADDRESS: address?.ip ?? "",
    DRBD_CONF: config.definedAt.file,
  };
}
