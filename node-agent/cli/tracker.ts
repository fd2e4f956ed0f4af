/** `kedge tracker`: the tracker functions, self-hosted. */

import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseHostPort } from "@kedge/schema/config/units";
import { parse } from "./args.ts";
import type { Command } from "./command.ts";
import { settingsToStart } from "./config/load_fastdfs.ts";
import { CliError, UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { denoArgs } from "./start/programs.ts";

const OPTIONS = {
  listen: {
    kind: "text",
    value: "HOST:PORT",
    help: "where to serve (default 127.0.0.1:8080)",
  },
  kv: {
    kind: "text",
    value: "KV",
    help:
      "shared KV store: a file, :memory:, or the URL of a remote Deno KV (KEDGE_KV)",
  },
  access: {
    kind: "text",
    value: "MODE",
    choices: ["open", "key"],
    help:
      "key: every caller needs a key; open: callers on this machine need none (KEDGE_ACCESS)",
  },
  "admin-key-file": {
    kind: "text",
    value: "FILE",
    help: "file with the operator's key (KEDGE_ADMIN_KEY_FILE)",
  },
  "tls-cert": { kind: "text", value: "FILE", help: "certificate chain, PEM" },
  "tls-key": { kind: "text", value: "FILE", help: "its private key, PEM" },
  "fastdfs-conf": {
    kind: "text",
    value: "FILE",
    help: "FastDFS's tracker.conf, as it is; other settings win",
  },
} as const;

/** Variable of each option. */
const VARIABLES = {
  listen: "KEDGE_LISTEN",
  kv: "KEDGE_KV",
  access: "KEDGE_ACCESS",
  "admin-key-file": "KEDGE_ADMIN_KEY_FILE",
  "tls-cert": "KEDGE_TLS_CERT",
  "tls-key": "KEDGE_TLS_KEY",
} as const;

/** Where it listens when nothing else is said. */
const DEFAULT_LISTEN = "127.0.0.1:8080";

/** What tracker.conf says and the environment does not. */
function fromFastdfs(
  file: string | undefined,
  env: Readonly<Record<string, string>>,
): Record<string, string> {
  if (file === undefined) return {};
  const { tracker } = settingsToStart([file], "tracker");
  const kv = tracker.KEDGE_KV;
  if (kv !== undefined && !env.KEDGE_KV) {
    Deno.mkdirSync(dirname(kv), { recursive: true, mode: 0o700 });
  }
  return Object.fromEntries(
    Object.entries(tracker).filter(([name]) => !env[name]),
  );
}

/** See the module comment. */
export const tracker: Command = {
  name: "tracker",
  summary: "run a tracker",
  usage: ["tracker --kv FILE [--listen HOST:PORT] [--admin-key-file FILE]"],
  about:
    `A tracker answers where to upload and where to read; file bytes never pass
through it. It keeps nothing but the shared KV store, so any number of trackers
may share a remote one. One process owns a KV file.

Every setting of docs/reference (selection policies, intervals) is read from the
environment; the options here win. The same code runs on Deno Deploy.`,
  options: OPTIONS,
  examples: [
    [
      "kedge tracker --kv /var/lib/kedge/kv.db --admin-key-file /etc/kedge/admin.key",
      "a tracker for this machine's agents",
    ],
    [
      "KEDGE_STORE_SERVER=first_by_priority kedge tracker --kv :memory: --access open",
      "a policy from the environment",
    ],
  ],

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    if (words.length > 0) throw new UsageError(`Unexpected word "${words[0]}"`);
    const { listen } = values;
    if (listen !== undefined && parseHostPort(listen) === undefined) {
      throw new UsageError(
        `--listen must be HOST:PORT, got "${listen}"`,
      );
    }
    const env: Record<string, string> = {
      KEDGE_LISTEN: context.env.KEDGE_LISTEN || DEFAULT_LISTEN,
      ...fromFastdfs(values["fastdfs-conf"], context.env),
    };
    for (const [name, variable] of Object.entries(VARIABLES)) {
      const value = values[name as keyof typeof VARIABLES];
      if (value !== undefined) env[variable] = value;
    }
    if (env.KEDGE_KV === undefined && context.env.KEDGE_KV === undefined) {
      throw new UsageError("--kv is missing: a file, :memory:, or a URL");
    }
    const entry = fileURLToPath(
      new URL("../../functions/serve.ts", import.meta.url),
    );
    const child = new Deno.Command(Deno.execPath(), {
      args: denoArgs(entry, []),
      env: { ...env, KEDGE_SUPERVISOR_PID: String(Deno.pid) },
      stdin: "null",
      stdout: "inherit",
      stderr: "inherit",
      detached: true,
    }).spawn();
    const stop = () => child.kill("SIGTERM");
    context.signal.addEventListener("abort", stop, { once: true });
    const status = await child.status;
    if (context.signal.aborted) return EXIT.ok;
    throw new CliError(
      `The tracker ended with code ${status.code}`,
      "see its message above",
    );
  },
};
