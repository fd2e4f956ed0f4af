/** `kedge export`: write all files as a FastDFS storage has them. */

import { resolve } from "node:path";
import { parseRate } from "@kedge/schema/config/units";
import type { ExportRequest } from "@kedge/schema/migration";
import { parse } from "./args.ts";
import { CONNECTION } from "./client/connection.ts";
import {
  followMigration,
  nodeFor,
  startMigration,
} from "./client/migration.ts";
import { openClient } from "./client/tracker_client.ts";
import type { Command } from "./command.ts";
import { UsageError } from "./errors.ts";

const OPTIONS = {
  to: {
    kind: "text",
    value: "DIR",
    help: "folder on the node's host, empty or new",
  },
  node: { kind: "text", value: "NODE", help: "the node that writes" },
  "rate-limit": {
    kind: "text",
    value: "RATE",
    fallback: "0",
    help: "bytes per second, such as 50MB; 0 is no limit",
  },
  report: {
    kind: "text",
    value: "FILE",
    help: "write every problem here, one JSON object per line",
  },
  ...CONNECTION,
} as const;

/** See the module comment. */
export const exportFiles: Command = {
  name: "export",
  summary: "write all files as a FastDFS storage has them",
  usage: ["export fastdfs --to DIR [--node N] [--rate-limit RATE]"],
  about:
    `Writes every file of the node's group below DIR the way a FastDFS storage has
it, under the same IDs: DIR becomes base_path and store_path0, DIR/M01 becomes
store_path1, and so on. Metadata, appender, slave and packed files go with it,
and a binlog, so that the storage can fill others. Files that change meanwhile
may be written as they were. Run it again after a crash: it goes on.`,
  options: OPTIONS,
  examples: [["kedge export fastdfs --to /data/fastdfs/back", "the way back"]],
  exits: ["partly", "notFound", "unreachable", "refused", "interrupted"],
  verbs: ["fastdfs"],

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    if (words.length !== 1 || words[0] !== "fastdfs") {
      throw new UsageError(
        'Say what to write: "kedge export fastdfs --to DIR"',
      );
    }
    const bytesPerS = parseRate(values["rate-limit"]);
    if (values.to === undefined) throw new UsageError("Say where to: --to DIR");
    if (bytesPerS === undefined) {
      throw new UsageError(
        "--rate-limit must be bytes per second such as 50MB",
      );
    }
    const client = await openClient(values, context);
    const node = await nodeFor(client, values.node);
    const request: ExportRequest = {
      kind: "export",
      to: resolve(values.to),
      bytesPerS: Math.floor(bytesPerS),
    };
    await startMigration(client, node, request);
    const showing = { json: values.json, report: values.report };
    return await followMigration(client, node, { showing, context });
  },
};
