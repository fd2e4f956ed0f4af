/** Where the mirror daemon of this host has its sockets. */

import { join } from "node:path";
import type { OptionTable } from "../args.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit_codes.ts";

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

/**
 * Whoever may write into the folder may put another socket, log or lock there:
 * we would tell it the secrets of the volumes, or write where a link leads to.
 *
 * @throws {CliError} When that is not its owner alone, or the owner a stranger.
 */
export function refuseOpenFolder(runDir: string): void {
  let found: Deno.FileInfo;
  try {
    found = Deno.statSync(runDir);
  } catch {
    return; // Not there yet, or not to be used.
  }
  const { uid, gid, mode } = found;
  const isStrange = uid !== 0 && uid !== Deno.uid();
  // Many systems give each user a group of its own, which may write.
  const forbidden = gid === Deno.gid() ? 0o002 : 0o022;
  const isOpen = ((mode ?? 0) & forbidden) !== 0;
  if (!isStrange && !isOpen) return;
  throw new CliError(
    isStrange
      ? `the folder ${runDir} is another user's: what is in it may be anything`
      : `the folder ${runDir} can be written by others than its owner`,
    isStrange
      ? "choose another folder with --run-dir or KEDGE_RUN_DIR"
      : `"chmod go-w ${runDir}", or choose another one with --run-dir`,
    EXIT.misused,
  );
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
