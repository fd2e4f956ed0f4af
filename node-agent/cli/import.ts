/** `kedge import`: take in the files of a FastDFS storage. */

import { resolve } from "node:path";
import { parseRate } from "@kedge/schema/config/units";
import { ImportRequest } from "@kedge/schema/migration";
import { parse, type Values } from "./args.ts";
import { CONNECTION } from "./client/connection.ts";
import {
  followMigration,
  lookAt,
  nodeFor,
  nodeOfRun,
  showEnd,
  startMigration,
  stopMigration,
} from "./client/migration.ts";
import { openClient } from "./client/tracker_client.ts";
import type { Command } from "./command.ts";
import { UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";

const OPTIONS = {
  base: {
    kind: "text",
    value: "DIR",
    help: "base_path of the storage, on the node's host",
  },
  "store-path": {
    kind: "list",
    value: "DIR",
    help: "store_path0, store_path1, … in order; the base when missing",
  },
  node: { kind: "text", value: "NODE", help: "the node that reads the folder" },
  group: {
    kind: "text",
    value: "NAME",
    help: "group_name of the storage; refused unless the node's is the same",
  },
  copy: { kind: "flag", help: "copy every file (this is the default)" },
  link: {
    kind: "flag",
    help: "hard links for files over 64 KiB; copies where that cannot be",
  },
  "in-place": {
    kind: "flag",
    help: "the store paths are those of the node: files stay where they are",
  },
  "dry-run": {
    kind: "flag",
    help: "read and verify everything, change nothing",
  },
  "follow-deletes": {
    kind: "flag",
    help: "delete here what was deleted there since an earlier import",
  },
  "rate-limit": {
    kind: "text",
    value: "RATE",
    fallback: "0",
    help: "bytes read per second, such as 50MB; 0 is no limit",
  },
  report: {
    kind: "text",
    value: "FILE",
    help: "write every problem here, one JSON object per line",
  },
  "no-wait": { kind: "flag", help: "start it and return" },
  ...CONNECTION,
} as const;

/** See the module comment. */
export const importFiles: Command = {
  name: "import",
  summary: "take in the files of a FastDFS storage, with their IDs",
  usage: [
    "import fastdfs --base DIR [--store-path DIR]… [--node N]\n" +
    "              [--copy|--link|--in-place] [--dry-run] [--follow-deletes] [--rate-limit RATE]",
    "import status [--node N]",
    "import stop [--node N]",
  ],
  about:
    `Reads the folders of a FastDFS storage on the host of a node, verifies each
file against its ID (length, CRC-32) and stores it under the same ID, in the
whole group: old URLs stay valid on every member. Files, appender files, slave
files, metadata, links of duplicates and packed (trunk) files are taken. The
group of the node must have the name of the FastDFS group.

Run it as often as you like: what is there is not read again, what came since
is added. After a crash or Ctrl-C give the same command again. The node does
the work; Ctrl-C only stops watching ("import stop" stops the work). Exit code
3: some files are damaged there; the report names them.`,
  options: OPTIONS,
  examples: [
    [
      "kedge import fastdfs --base /data/fastdfs/storage --dry-run",
      "look first",
    ],
    [
      "kedge import fastdfs --base /data/fastdfs/storage --link --node 2",
      "on the host of node 2, without copying large files",
    ],
    [
      "kedge import fastdfs --base /data/fastdfs/storage --follow-deletes --dry-run",
      "what a catch-up would add, and which files it would delete",
    ],
    [
      "kedge import fastdfs --base /data/fdfs --store-path /disk0 --store-path /disk1",
      "a storage with two store paths",
    ],
  ],
  exits: ["partly", "notFound", "unreachable", "refused", "interrupted"],
  verbs: ["fastdfs", "status", "stop"],

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    const [verb, ...more] = words;
    if (more.length > 0) throw new UsageError(`Unexpected word "${more[0]}"`);
    const showing = { json: values.json, report: values.report };
    if (verb !== "fastdfs" && verb !== "status" && verb !== "stop") {
      throw new UsageError('Say what to import: "kedge import fastdfs …"');
    }
    const request = verb === "fastdfs" ? requestOf(values) : undefined;
    const client = await openClient(values, context);
    const node = request === undefined
      ? await nodeOfRun(client, values.node)
      : await nodeFor(client, values.node);
    if (verb === "stop") await stopMigration(client, node);
    if (request !== undefined) {
      await startMigration(client, node, request);
      if (!values["no-wait"]) {
        return await followMigration(client, node, { showing, context });
      }
      context.out.line(
        values.json
          ? JSON.stringify({ node, started: true })
          : `node ${node}: the import runs; see: kedge import status`,
      );
      return EXIT.ok;
    }
    const view = await lookAt(client, node);
    return await showEnd(client, node, { view, showing, context });
  },
};

function requestOf(values: Values<typeof OPTIONS>): ImportRequest {
  const { base, link, copy } = values;
  if (base === undefined) {
    throw new UsageError(
      "Say where the storage is: --base DIR (its base_path)",
    );
  }
  if ([link, copy, values["in-place"]].filter(Boolean).length > 1) {
    throw new UsageError("Only one of --copy, --link, --in-place");
  }
  if (values["in-place"] && values["follow-deletes"]) {
    throw new UsageError(
      "--follow-deletes is for a FastDFS that goes on; with --in-place none does",
    );
  }
  const rate = parseRate(values["rate-limit"]);
  if (rate === undefined) {
    throw new UsageError(
      `--rate-limit must be bytes per second such as 50MB, got "${
        values["rate-limit"]
      }"`,
    );
  }
  const mode = values["in-place"] ? "in-place" : link ? "link" : "copy";
  const request = ImportRequest.safeParse({
    kind: "import",
    base: resolve(base),
    group: values.group ?? null,
    storePaths: values["store-path"].map((path) => resolve(path)),
    mode,
    dryRun: values["dry-run"],
    followDeletes: values["follow-deletes"],
    bytesPerS: Math.floor(rate),
  });
  if (request.success) return request.data;
  throw new UsageError("The folders must be plain paths, at most 256 of them");
}
