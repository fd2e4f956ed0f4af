/**
 * Where the tracker is, which key to use, whom to trust: from options, the
 * environment, or the data directory of a `kedge start` beside us.
 *
 * @module
 */

import { join } from "node:path";
import { z } from "zod";
import {
  FASTDFS_KEY,
  type LinkKey,
  parseLinkKeys,
} from "@kedge/schema/download-links";
import type { CommandContext, Network } from "../context.ts";
import { CliError, messageOf, UsageError } from "../errors.ts";

/** Options of every command that talks to a tracker. */
export const CONNECTION = {
  tracker: {
    kind: "text",
    value: "URL",
    help: "tracker, or several with commas (KEDGE_TRACKER)",
  },
  "key-file": {
    kind: "text",
    value: "FILE",
    help:
      "file with the API key (KEDGE_KEY_FILE; the key itself: KEDGE_API_KEY)",
  },
  ca: {
    kind: "text",
    value: "FILE",
    help: "authority to trust for HTTPS, PEM (KEDGE_CA)",
  },
} as const;

/** What the options say. */
export interface ConnectionValues {
  readonly tracker: string | undefined;
  readonly "key-file": string | undefined;
  readonly ca: string | undefined;
}

/** How to reach a cluster. */
export interface Connection {
  /** Base URLs without a slash at the end, at least one. */
  readonly trackers: readonly string[];
  /** API key. */
  readonly key: string | undefined;
  /** Trusts what it should. */
  readonly network: Network;
  /** Signs downloads where they need links; see `kedge link`. */
  readonly linkKey?: LinkKey | undefined;
}

/** What is read of `cluster.json`. */
const Beside = z.object({ tracker: z.url(), tls: z.boolean() });

/**
 * Find out how to reach the cluster.
 *
 * A key in `./kedge-data` is used only for the tracker that this directory
 * belongs to.
 *
 * @throws {CliError} When a named file cannot be read.
 */
export async function connect(
  values: ConnectionValues,
  context: CommandContext,
): Promise<Connection> {
  const { env } = context;
  const data = env.KEDGE_DATA ?? "./kedge-data";
  const beside = await readBeside(join(data, "cluster.json"));
  const named = values.tracker ?? env.KEDGE_TRACKER;
  const trackers = (named ?? beside?.tracker ?? "http://127.0.0.1:8080")
    .split(",").map((url) => checkedUrl(url.trim()));
  const isBeside = beside !== undefined && trackers.length === 1 &&
    trackers[0] === beside.tracker;

  const caFile = values.ca ?? env.KEDGE_CA;
  const caPem = caFile !== undefined
    ? await read(caFile, "authority")
    : isBeside && beside.tls
    ? await readIfThere(join(data, "tls", "ca.pem"))
    : undefined;
  return {
    trackers,
    key: await findKey(values, env, isBeside ? data : undefined),
    network: context.network(caPem),
    linkKey: await findLinkKey(env),
  };
}

/** The key that signs, when the environment names the download keys. */
async function findLinkKey(
  env: Readonly<Record<string, string>>,
): Promise<LinkKey | undefined> {
  const text = env.KEDGE_DOWNLOAD_KEYS ||
    (env.KEDGE_DOWNLOAD_KEYS_FILE
      ? await read(env.KEDGE_DOWNLOAD_KEYS_FILE, "download keys")
      : undefined);
  const found = text === undefined ? undefined : parseLinkKeys(text);
  return found !== undefined && "keys" in found
    ? found.keys.find(({ id }) => id !== FASTDFS_KEY)
    : undefined;
}

async function findKey(
  values: ConnectionValues,
  env: Readonly<Record<string, string>>,
  data: string | undefined,
): Promise<string | undefined> {
  if (values["key-file"] !== undefined) {
    return (await read(values["key-file"], "API key")).trim();
  }
  if (env.KEDGE_API_KEY) return env.KEDGE_API_KEY.trim();
  if (env.KEDGE_KEY_FILE) {
    return (await read(env.KEDGE_KEY_FILE, "API key")).trim();
  }
  if (data === undefined) return undefined;
  return (await readIfThere(join(data, "admin.key")))?.trim();
}

function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(
      `--tracker must be http(s)://HOST:PORT, got "${text}"`,
    );
  }
  return text.replace(/\/+$/, "");
}

async function readBeside(
  path: string,
): Promise<z.infer<typeof Beside> | undefined> {
  const text = await readIfThere(path);
  try {
    return text === undefined
      ? undefined
      : Beside.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  return await Deno.readTextFile(path).catch(() => undefined);
}

async function read(path: string, what: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw new CliError(
      `Cannot read the ${what} from "${path}": ${messageOf(error)}`,
      "check the path and its permissions",
    );
  }
}
