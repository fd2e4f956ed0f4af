/** `kedge link`: signed links to files. */

import { isIP } from "node:net";
import { parseDuration } from "@kedge/schema/config/units";
import {
  FASTDFS_KEY,
  fastdfsToken,
  LINK_LIFE_S_MAX,
  type LinkKey,
  linkQuery,
} from "@kedge/schema/download-links";
import { parseFileId } from "@kedge/schema/file-id";
import { readLinkKeys } from "../link_rules.ts";
import { parse } from "./args.ts";
import { connect, CONNECTION } from "./client/connection.ts";
import type { Command } from "./command.ts";
import type { CommandContext } from "./context.ts";
import { CliError, messageOf, UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";

const OPTIONS = {
  expires: {
    kind: "text",
    value: "TIME",
    fallback: "10m",
    help: "how long it counts: 30s, 10m, 2h, 7d",
  },
  ip: { kind: "text", value: "ADDRESS", help: "count for this client only" },
  download: {
    kind: "text",
    value: "NAME",
    help: "name under which browsers save it",
  },
  head: { kind: "flag", help: "allow HEAD only" },
  fastdfs: {
    kind: "flag",
    help: "FastDFS's token and ts; their life is download_token_ttl",
  },
  base: {
    kind: "text",
    value: "URL",
    help: "what stands in front (default: the tracker, which sends on)",
  },
  "keys-file": {
    kind: "text",
    value: "FILE",
    help:
      "file with the secrets (KEDGE_DOWNLOAD_KEYS_FILE; the secrets themselves: KEDGE_DOWNLOAD_KEYS)",
  },
  ...CONNECTION,
} as const;

/** See the module comment. */
export const link: Command = {
  name: "link",
  summary: "make links to files that need one",
  usage: ["link [--expires 10m] [--ip ADDRESS] [--fastdfs] ID…"],
  about:
    `Signs links with the first key of the agents' download_keys_file; nobody is
asked. A link is for one file and counts until its end; it cannot be changed or
taken back, except by removing its key from the agents.

With --fastdfs the link is what FastDFS's clients make: the MD5 of the file ID
without its group, the secret of the line "fastdfs", and the time.`,
  options: OPTIONS,
  examples: [
    [
      "kedge link --expires 10m ID",
      "whoever has it may read ID for ten minutes",
    ],
    [
      "kedge link --ip 192.0.2.7 --base https://files.example.com ID",
      "for one client, through nginx",
    ],
    ["kedge link --fastdfs ID", "?token=…&ts=…"],
  ],
  exits: [],
  reads: true,

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    if (words.length === 0) throw new UsageError("Missing ID");
    for (const id of words) {
      if (parseFileId(id) === undefined) {
        throw new UsageError(`"${id}" is not a file ID`);
      }
    }
    const lifeS = lifeOf(values.expires);
    if (values.ip !== undefined && isIP(values.ip) === 0) {
      throw new UsageError(`--ip must be an address, got "${values.ip}"`);
    }
    const signing = keyFor(
      await keysFrom(values["keys-file"], context),
      values.fastdfs,
    );
    const base = (values.base ?? (await connect(values, context)).trackers[0])
      ?.replace(/\/+$/, "") ?? "";
    const nowS = Math.floor(Date.now() / 1000);
    const expiresS = nowS + lifeS;
    const { ip = "", download = "" } = values;
    const method = values.head ? "HEAD" : "GET";
    if (values.fastdfs && (ip !== "" || values.head)) {
      throw new UsageError("A token of FastDFS says neither --ip nor --head");
    }
    for (const file of words) {
      const query = values.fastdfs
        ? `token=${fastdfsToken(file, signing.secret, nowS)}&ts=${nowS}` +
          (download === "" ? "" : `&download=${encodeURIComponent(download)}`)
        : linkQuery(signing, { file, method, expiresS, ip, download });
      const url = `${base}/${file}?${query}`;
      const facts = values.fastdfs
        ? { scheme: "fastdfs", ts: nowS }
        : { scheme: "signed", key: signing.id, expires: expiresS, ip, method };
      context.out.line(
        values.json ? JSON.stringify({ id: file, url, ...facts }) : url,
      );
    }
    return EXIT.ok;
  },
};

function lifeOf(text: string): number {
  const ms = parseDuration(text);
  const lifeS = Math.floor((ms ?? 0) / 1000);
  if (ms !== undefined && lifeS >= 1 && lifeS <= LINK_LIFE_S_MAX) return lifeS;
  throw new UsageError(
    `--expires must be a time from 1s to 366d, got "${text}"`,
  );
}

async function keysFrom(
  file: string | undefined,
  { env }: CommandContext,
): Promise<readonly LinkKey[]> {
  const keysText = file === undefined
    ? env.KEDGE_DOWNLOAD_KEYS || undefined
    : undefined;
  const keysFile = file ?? (env.KEDGE_DOWNLOAD_KEYS_FILE || undefined);
  try {
    return await readLinkKeys({ keysFile, keysText });
  } catch (error) {
    throw new CliError(
      messageOf(error),
      "name the agents' download_keys_file with --keys-file; a line is NAME SECRET",
    );
  }
}

function keyFor(keys: readonly LinkKey[], isFastdfs: boolean): LinkKey {
  const found = keys.find(({ id }) => (id === FASTDFS_KEY) === isFastdfs);
  if (found !== undefined) return found;
  const wanted = isFastdfs ? `${FASTDFS_KEY} SECRET` : "NAME SECRET";
  throw new CliError(
    `There is no line "${wanted}" among the download keys`,
    "add it on every agent, restart them, and try again",
  );
}
