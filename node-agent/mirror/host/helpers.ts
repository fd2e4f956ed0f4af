/**
 * Runs the handlers of a configuration (`split-brain`, `fence-peer`, …) with
 * the environment that DRBD gives them.
 *
 * Source: reference of DRBD, §2.9.
 *
 * @module
 */

import type { ResourceConfig } from "@kedge/schema/drbd-conf";
import type { Log } from "../../ports.ts";

/** How long a handler may run, in ms; then it counts as broken. */
const HANDLER_MS = 300_000;
/** The exit code of a handler that could not be run. */
const NOT_RUN = 127;

/**
 * Handlers of the usual examples restart the host at once. A user-space mirror
 * has better answers (it detaches, or freezes), so they need a clear yes.
 */
const ENDS_HOST = /sysrq-trigger|\b(reboot|halt|poweroff|shutdown|kexec)\b/;

/** What a handler is told of its volume. */
export interface HandlerVolume {
  readonly volume: number;
  readonly minor: number;
  /** Undefined: it has no disk here. */
  readonly paths: { readonly disk: string } | undefined;
}

/** Whether a handler may restart or stop the host: `KEDGE_HOST_HANDLERS=yes`. */
function mayEndHost(): boolean {
  return Deno.env.get("KEDGE_HOST_HANDLERS") === "yes";
}

/** Whether this line would restart or stop the host, and is therefore not run. */
export function isHeldBack(line: string): boolean {
  return ENDS_HOST.test(line) && !mayEndHost();
}

/**
 * Run a handler.
 *
 * @returns Its exit code; 0 when none is configured; 127 when it could not be
 *   run, or would end the host and may not.
 */
export async function runHandler(
  config: ResourceConfig,
  volume: HandlerVolume,
  name: string,
): Promise<number> {
  const handlers: Readonly<Record<string, string | undefined>> =
    config.handlers;
  const line = handlers[name];
  if (line === undefined) return 0;
  if (isHeldBack(line)) return NOT_RUN;
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

/** Run a handler, and say so in the words of DRBD's kernel log. */
export async function runHandlerAloud(
  config: ResourceConfig,
  { spec, name, log }: {
    readonly spec: HandlerVolume;
    readonly name: string;
    readonly log: Log;
  },
): Promise<number> {
  const resource = config.name;
  const helper = `helper command: drbdadm ${name} minor-${spec.minor}`;
  log.info(`${resource}: ${helper}`);
  const handlers: Readonly<Record<string, string | undefined>> =
    config.handlers;
  if (isHeldBack(handlers[name] ?? "")) {
    log.warn(
      `${resource}: the handler ${name} would restart or stop this host: ` +
        "not run. Start the daemon with KEDGE_HOST_HANDLERS=yes to allow it",
    );
  }
  const exitCode = await runHandler(config, spec, name);
  log.info(`${resource}: ${helper} exit code ${exitCode}`);
  return exitCode;
}

/** DRBD's variables for a handler. */
export function environmentOf(
  config: ResourceConfig,
  volume: HandlerVolume,
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
    DRBD_CONF: config.mainFile,
  };
}
