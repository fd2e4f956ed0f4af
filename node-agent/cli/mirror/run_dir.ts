/** Where the mirror daemon of this host has its sockets. */

import { join } from "node:path";
import type { OptionTable } from "../args.ts";

/** The option that names the folder. */
export const RUN_DIR = {
  "run-dir": {
    kind: "text",
    value: "DIR",
    help: "folder of the daemon's sockets (KEDGE_RUN_DIR, /run/kedge)",
  },
} as const satisfies OptionTable;

/**
 * The folder: the option, else KEDGE_RUN_DIR, else `/run/kedge` for root, else
 * a folder of the user.
 */
export function runDirOf(
  option: string | undefined,
  env: Readonly<Record<string, string>>,
): string {
  const named = option ?? env.KEDGE_RUN_DIR;
  if (named !== undefined && named !== "") return named;
  if (Deno.uid() === 0) return "/run/kedge";
  return env.XDG_RUNTIME_DIR === undefined
    ? join(env.HOME ?? ".", ".kedge", "run")
    : join(env.XDG_RUNTIME_DIR, "kedge");
}

/** The control socket in a run folder. */
export function controlSocket(runDir: string): string {
  return join(runDir, "mirror.sock");
}

/** The log of a daemon that runs in the background. */
export function daemonLog(runDir: string): string {
  return join(runDir, "mirror.log");
}

/** The process that answers there. */
export function daemonPid(runDir: string): string {
  return join(runDir, "mirror.pid");
}

/**
 * Where the losers of split brains keep what was overwritten: KEDGE_UNDO_DIR,
 * else beside the sockets; for `/run/kedge`, which a restart empties, on disk.
 */
export function undoDirOf(
  runDir: string,
  env: Readonly<Record<string, string>>,
): string {
  const { KEDGE_UNDO_DIR } = env;
  if (KEDGE_UNDO_DIR !== undefined && KEDGE_UNDO_DIR !== "") {
    return KEDGE_UNDO_DIR;
  }
  return runDir === "/run/kedge" ? "/var/lib/kedge/undo" : join(runDir, "undo");
}

/**
 * Where the sizes of disks are remembered: beside the sockets; for
 * `/run/kedge`, which a restart empties, on disk.
 */
export function sizesDirOf(runDir: string): string {
  return runDir === "/run/kedge"
    ? "/var/lib/kedge/disks"
    : join(runDir, "disks");
}
