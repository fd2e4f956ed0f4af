/** `kedge config import`: FastDFS's configuration in Kedge's words. */

import { resolve } from "node:path";
import {
  type FastdfsSettings,
  SECRET_SETTING,
} from "@kedge/schema/fastdfs-conf";
import { parse, type Values } from "./args.ts";
import type { Command } from "./command.ts";
import type { CommandContext } from "./context.ts";
import {
  becomes,
  reportLines,
  sayOf,
  shown,
  startCommands,
} from "./config/import_text.ts";
import { type LoadedFastdfs, loadFastdfs } from "./config/load_fastdfs.ts";
import { CliError, UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { writeWhole } from "./start/layout.ts";

const OPTIONS = {
  out: {
    kind: "text",
    value: "FILE",
    help: "write the agent's settings there, for kedge agent --config",
  },
  "tracker-out": {
    kind: "text",
    value: "FILE",
    help: "write the tracker's environment there, for systemd or a shell",
  },
  "dry-run": { kind: "flag", help: "write nothing, whatever else is said" },
} as const;

type ConfigValues = Values<typeof OPTIONS> & { readonly json: boolean };

/** See the module comment. */
export const config: Command = {
  name: "config",
  summary: "turn FastDFS's configuration files into Kedge's",
  usage: [
    "config import FILE… [--out FILE] [--tracker-out FILE] [--dry-run]",
  ],
  about:
    `Reads tracker.conf, storage.conf, client.conf, http.conf and mod_fastdfs.conf,
with what they include, and says for every key what becomes of it: a setting, not
needed (and why), or refused (and what to do instead). Then it prints the
settings and the commands that start the same cluster. Nothing is written
without --out or --tracker-out, and nothing while something is refused.

"kedge agent --fastdfs-conf FILE" and "kedge tracker --fastdfs-conf FILE" take
the files as they are. All keys: docs/reference/fastdfs-keys.md.`,
  options: OPTIONS,
  examples: [
    [
      "kedge config import /etc/fdfs/storage.conf /etc/fdfs/tracker.conf",
      "what becomes of each key, and how to start",
    ],
    [
      "kedge config import /etc/fdfs/*.conf --out agent.json --tracker-out tracker.env",
      "the settings as files",
    ],
  ],
  verbs: ["import"],

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    const [verb, ...files] = words;
    if (verb !== "import") {
      throw new UsageError(`Say import, not "${verb ?? ""}"`);
    }
    if (files.length === 0) throw new UsageError("Missing FILE");
    const loaded = loadFastdfs(files);
    tell(loaded, values, context);
    if (loaded.problems.length > 0) return EXIT.failed;
    if (!values["dry-run"]) await write(loaded, values, context);
    return EXIT.ok;
  },
};

function tell(
  loaded: LoadedFastdfs,
  values: ConfigValues,
  { out }: CommandContext,
): void {
  if (!values.json) {
    for (const line of reportLines(loaded)) out.line(line);
    return;
  }
  const { conf, problems } = loaded;
  const settings = shown(loaded.settings);
  out.line(JSON.stringify({
    files: conf.files.map(({ file, kind, findings }) => ({
      file,
      kind,
      keys: findings.map((finding) => ({
        line: finding.line,
        key: finding.key,
        value: finding.written,
        fate: finding.fate,
        ...(finding.fate === "mapped"
          ? { becomes: becomes(finding, settings) }
          : { say: sayOf(finding) }),
      })),
    })),
    agent: settings.agent,
    tracker: settings.tracker,
    run_as: settings.runAs,
    problems,
    notes: conf.notes,
    hints: settings.hints,
    commands: startCommands(conf.files, settings),
  }));
}

async function write(
  { settings }: LoadedFastdfs,
  values: ConfigValues,
  { err }: CommandContext,
): Promise<void> {
  const { tracker } = settings;
  const { [SECRET_SETTING]: keys, ...agent } = settings.agent;
  const keysFile = values.out === undefined
    ? ""
    : resolve(`${values.out}.keys`);
  const env = Object.entries(tracker)
    .map(([name, value]) => `${name}=${quoted(value)}\n`).join("");
  const wanted = [
    [values.out, "storage.conf", agentText(agent, keys && keysFile)],
    [values["tracker-out"], "tracker.conf", env],
  ] as const;
  for (const [path, source, text] of wanted) {
    if (path === undefined) continue;
    if (text === "" || text === "{}\n") {
      throw new CliError(
        `There is nothing to write to ${path}`,
        `name a ${source} as well`,
        EXIT.misused,
      );
    }
    await refuseExisting(path);
    if (path === values.out && typeof keys === "string") {
      await refuseExisting(keysFile);
      await writeWhole(keysFile, `${keys}\n`, 0o600);
      err.line(`kedge config: wrote ${keysFile}, which holds a secret`);
    }
    await writeWhole(path, text, 0o644);
    err.line(`kedge config: wrote ${path}`);
  }
}

/** For `kedge agent --config`. */
function agentText(
  agent: FastdfsSettings["agent"],
  keysFile: unknown,
): string {
  const more = keysFile === undefined ? {} : { download_keys_file: keysFile };
  return JSON.stringify({ ...agent, ...more }, null, 2) + "\n";
}

async function refuseExisting(path: string): Promise<void> {
  try {
    await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  throw new CliError(
    `${path} exists`,
    "move it away, or name another file",
    EXIT.misused,
  );
}

/** For systemd's EnvironmentFile and for a shell. */
function quoted(value: string): string {
  return /^[\w./:%,@+\-[\]]*$/.test(value)
    ? value
    : `"${value.replaceAll(/["\\$`]/g, "\\$&")}"`;
}
