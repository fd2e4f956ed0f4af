/**
 * The settings of a mirror daemon that let trackers decide roles: options of
 * `kedge mirror run`, or the same from the environment.
 *
 * @module
 */

import { resolve } from "node:path";
import type { FencingOptions } from "../mirror_fencing.ts";
import { UsageError } from "./errors.ts";

/** Options for a command that starts the daemon. */
export const FENCING_OPTIONS = {
  "tracker": {
    kind: "text",
    value: "URL,…",
    help: "trackers that decide who may be Primary (or KEDGE_MIRROR_TRACKERS)",
  },
  "token-file": {
    kind: "text",
    value: "FILE",
    help: "join token, needed once (or KEDGE_MIRROR_TOKEN_FILE)",
  },
  "identity-dir": {
    kind: "text",
    value: "DIR",
    help: "who this host is (or KEDGE_MIRROR_IDENTITY_DIR; /var/lib/kedge)",
  },
  "ca-file": {
    kind: "text",
    value: "FILE",
    help: "more authorities for the trackers' TLS (or KEDGE_MIRROR_CA_FILE)",
  },
  "fencing": {
    kind: "text",
    value: "kv|off",
    choices: ["kv", "off"],
    help: "kv when a tracker is given, else off (or KEDGE_MIRROR_FENCING)",
  },
  "auto-promote": {
    kind: "text",
    value: "off|on|lossy",
    choices: ["off", "on", "lossy"],
    help: "take over when the Primary is gone; lossy: with protocol A, too " +
      "(or KEDGE_MIRROR_AUTO_PROMOTE; off)",
  },
} as const;

/** What was typed. */
export type FencingValues = {
  readonly [name in keyof typeof FENCING_OPTIONS]?: string | undefined;
};

/** Where identities are when nothing else is said. */
const IDENTITY_DIR = "/var/lib/kedge";

/** The settings that an option and a variable of the environment share. */
const VARIABLES: Readonly<Record<keyof FencingValues, string>> = {
  "tracker": "KEDGE_MIRROR_TRACKERS",
  "token-file": "KEDGE_MIRROR_TOKEN_FILE",
  "identity-dir": "KEDGE_MIRROR_IDENTITY_DIR",
  "ca-file": "KEDGE_MIRROR_CA_FILE",
  "fencing": "KEDGE_MIRROR_FENCING",
  "auto-promote": "KEDGE_MIRROR_AUTO_PROMOTE",
};

/** What was typed, as the environment of a daemon in the background. */
export function fencingEnv(values: FencingValues): Record<string, string> {
  const isFile = (name: string) =>
    name.endsWith("-file") || name.endsWith("-dir");
  const names = Object.keys(VARIABLES) as (keyof FencingValues)[];
  return Object.fromEntries(names.flatMap((name) => {
    const value = values[name];
    if (value === undefined) return [];
    return [[VARIABLES[name], isFile(name) ? resolve(value) : value]];
  }));
}

/**
 * What the daemon is to be told; `undefined`: the two nodes decide alone.
 *
 * @throws {UsageError} When the settings contradict one another.
 */
export function fencingOf(
  values: FencingValues,
  { env, hostname }: {
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly hostname: string;
  },
): FencingOptions | undefined {
  const from = (name: keyof FencingValues) =>
    values[name] ?? (env[VARIABLES[name]] || undefined);
  const trackers = (from("tracker") ?? "").split(",")
    .map((url) => url.trim()).filter((url) => url !== "");
  const fencing = from("fencing") ??
    (trackers.length > 0 ? "kv" : "off");
  if (fencing !== "kv" && fencing !== "off") {
    throw new UsageError(`Say --fencing kv or off, not "${fencing}"`);
  }
  if (fencing === "off") return undefined;
  if (trackers.length === 0) {
    throw new UsageError("--fencing kv needs --tracker URL");
  }
  for (const url of trackers) {
    if (!URL.canParse(url)) throw new UsageError(`"${url}" is no URL`);
  }
  const autoPromote = from("auto-promote") ?? "off";
  if (
    autoPromote !== "off" && autoPromote !== "on" && autoPromote !== "lossy"
  ) throw new UsageError("Say --auto-promote off, on or lossy");
  const folder = from("identity-dir");
  return {
    trackers,
    folder: folder === undefined ? IDENTITY_DIR : resolve(folder),
    name: hostname,
    tokenFile: from("token-file"),
    caFile: from("ca-file"),
    autoPromote,
  };
}
