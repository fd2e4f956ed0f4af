/** Starts and stops the mirror daemon in the background. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { CommandContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { MirrorClient } from "../mirror_client.ts";
import { inherited } from "../start/programs.ts";
import { daemonLog } from "./run_dir.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

/** How long a daemon may take to answer, in milliseconds. */
const START_MS = 30_000;
/** How long a daemon may take to end: disks, peers, exports. */
const STOP_MS = 30_000;
const LOOK_MS = 50;
/** Lines of its log that are shown when it ends at once. */
const LINES_MAX = 5;

/** Runs a program with its output appended to a file, free of our terminal. */
const TO_LOG = 'exec "$@" >>"$KEDGE_LOG_FILE" 2>&1 </dev/null';

/** What came of {@linkcode ensureDaemon}. */
export interface Ensured {
  /** Whether it was started just now. */
  readonly isNew: boolean;
  /** Its log, when it was. */
  readonly logFile: string;
}

/**
 * Start the daemon unless one answers; resolves when it does.
 *
 * Two callers at once start one daemon: a lock file in the folder.
 *
 * @throws {CliError} With the last lines of its log when it ends at once.
 */
export async function ensureDaemon(
  runDir: string,
  context: CommandContext,
): Promise<Ensured> {
  const logFile = daemonLog(runDir);
  using client = new MirrorClient(runDir, context);
  if (await client.isRunning()) return { isNew: false, logFile };
  await Deno.mkdir(runDir, { recursive: true, mode: 0o700 });
  using lock = await Deno.open(join(runDir, "mirror.lock"), {
    create: true,
    write: true,
  });
  await lock.lock(true);
  if (await client.isRunning()) return { isNew: false, logFile };
  const before = await Deno.stat(logFile).then(({ size }) => size, () => 0);
  const child = spawn(runDir, context.env);
  let ended: Deno.CommandStatus | undefined;
  child.status.then((status) => ended = status);
  for (let waitedMs = 0; waitedMs < START_MS; waitedMs += LOOK_MS) {
    if (await client.isRunning()) {
      child.unref();
      return { isNew: true, logFile };
    }
    if (ended !== undefined) throw await endedAtOnce(logFile, before);
    await context.sleep(LOOK_MS, context.signal);
  }
  child.kill("SIGTERM");
  throw new CliError(
    `the mirror daemon does not answer after ${START_MS / 1000} s`,
    `read ${logFile}`,
  );
}

/** Ask the daemon to end and wait until nobody answers. */
export async function stopDaemon(
  client: MirrorClient,
  context: CommandContext,
): Promise<void> {
  await client.stop();
  for (let waitedMs = 0; waitedMs < STOP_MS; waitedMs += LOOK_MS) {
    if (!await client.isRunning()) return;
    await context.sleep(LOOK_MS, context.signal);
  }
  throw new CliError(
    `the mirror daemon still answers after ${STOP_MS / 1000} s`,
    "look whether a disk hangs; its log says more",
  );
}

function spawn(
  runDir: string,
  env: Readonly<Record<string, string>>,
): Deno.ChildProcess {
  const ours = Object.entries(env).filter(([name]) =>
    name.startsWith("KEDGE_")
  );
  return new Deno.Command("/bin/sh", {
    args: [
      ...["-c", TO_LOG, "kedge-mirror"],
      ...[Deno.execPath(), "run", "-A", "--quiet", "--no-prompt"],
      ...["--config", join(ROOT, "deno.json")],
      join(ROOT, "node-agent", "main.ts"),
      ...["mirror", "run", "--run-dir", runDir],
    ],
    cwd: "/",
    env: {
      ...inherited(env),
      ...Object.fromEntries(ours),
      KEDGE_LOG_FILE: daemonLog(runDir),
    },
    clearEnv: true,
    stdin: "null",
    stdout: "null",
    stderr: "null",
    detached: true,
  }).spawn();
}

/** What it said of that, and nothing of an earlier one. */
async function endedAtOnce(
  logFile: string,
  fromBytes: number,
): Promise<CliError> {
  const bytes = await Deno.readFile(logFile).catch(() => new Uint8Array(0));
  const lines = new TextDecoder().decode(bytes.subarray(fromBytes))
    .split("\n")
    .map((line) => line.replace(/^kedge mirror: /, "").trim())
    .filter((line) => line !== "" && !line.includes("KEDGE_DEBUG=1"))
    .slice(-LINES_MAX);
  return new CliError(
    ["the mirror daemon ended at once:", ...lines].join("\n  "),
    `correct that, then again; the log is ${logFile}`,
  );
}
