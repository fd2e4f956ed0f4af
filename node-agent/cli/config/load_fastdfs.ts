/** FastDFS's configuration files on this host, and what they come to. */

import {
  CONF_BYTES_MAX,
  type ConfProblem,
  type FastdfsConf,
  type FastdfsSettings,
  problemText,
  readFastdfsConf,
  type RunAs,
  settingsOf,
} from "@kedge/schema/fastdfs-conf";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit_codes.ts";
import { runAsProblem, type Whoami } from "./run_as_core.ts";

/** Files, read. */
export interface LoadedFastdfs {
  readonly conf: FastdfsConf;
  readonly settings: FastdfsSettings;
  /** Everything that keeps them from being used. */
  readonly problems: readonly ConfProblem[];
}

/** Read files with everything that they include. */
export function loadFastdfs(files: readonly string[]): LoadedFastdfs {
  const conf = readFastdfsConf(files, readText);
  const settings = settingsOf(conf, Deno.networkInterfaces());
  return {
    conf,
    settings,
    problems: [...conf.problems, ...settings.problems],
  };
}

/**
 * The settings of files that a process is to start with.
 *
 * @throws {CliError} With every problem, one per line.
 */
export function settingsToStart(
  files: readonly string[],
  command: "agent" | "tracker",
): FastdfsSettings {
  const { settings, problems } = loadFastdfs(files);
  const texts = problems.map(problemText);
  const needed = command === "agent" ? "storage.conf" : "tracker.conf";
  const filled = command === "agent" ? settings.agent : settings.tracker;
  if (Object.keys(filled).length === 0 && texts.length === 0) {
    texts.push(`no ${needed} is among them; the ${command} needs it`);
  }
  const runAs = settings.runAs[command];
  const wrongUser = runAsProblem(runAs, whoami(runAs), command);
  if (wrongUser !== undefined) texts.push(wrongUser);
  if (texts.length === 0) return settings;
  throw new CliError(
    `Cannot start with FastDFS's configuration:\n  ${texts.join("\n  ")}`,
    `kedge config import ${files.join(" ")}`,
    EXIT.misused,
  );
}

function readText(path: string): string | undefined {
  try {
    if (isNamedPipe(path)) throw new Error("it is a named pipe, not a file");
    return readStart(path, CONF_BYTES_MAX + 1);
  } catch (error) {
    if (
      error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.IsADirectory
    ) return undefined;
    throw new CliError(
      `Cannot read "${path}": ${
        error instanceof Error ? error.message : error
      }`,
      "name a file that this user may read",
    );
  }
}

/**
 * Opening one waits for a writer, without an end. A pipe without a name, such
 * as a shell's `<(…)`, does not, and is fine.
 */
function isNamedPipe(path: string): boolean {
  if (!Deno.statSync(path).isFifo) return false;
  try {
    Deno.realPathSync(path);
    return true;
  } catch {
    return false;
  }
}

/** A file may be a device that never ends. */
function readStart(path: string, bytesMax: number): string {
  using file = Deno.openSync(path);
  const bytes = new Uint8Array(bytesMax);
  let length = 0;
  while (length < bytesMax) {
    const count = file.readSync(bytes.subarray(length));
    if (count === null) break;
    length += count;
  }
  return new TextDecoder().decode(bytes.subarray(0, length));
}

/** Who we are, and the numbers of those whom the files name. */
function whoami({ user, group }: RunAs): Whoami {
  return {
    uid: Deno.uid() ?? 0,
    gid: Deno.gid() ?? 0,
    wantedUid: user === undefined ? undefined : idOf("/etc/passwd", user),
    wantedGid: group === undefined ? undefined : idOf("/etc/group", group),
  };
}

/** Third field of the line of a name. */
function idOf(file: string, name: string): number | undefined {
  const lines = readText(file)?.split("\n") ?? [];
  const fields = lines.map((line) => line.split(":"))
    .find(([first]) => first === name);
  return fields?.[2] === undefined ? undefined : Number(fields[2]);
}
