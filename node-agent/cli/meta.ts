/** `kedge meta`: user metadata of a file. */

import { z } from "zod";
import { parse } from "./args.ts";
import { CONNECTION } from "./client/connection.ts";
import { filePath, openClient } from "./client/tracker_client.ts";
import type { Command } from "./command.ts";
import { UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { parseEntries } from "./text/entries.ts";
import { plainText } from "./text/table.ts";
import { readsWith } from "./readers.ts";

/** What the API answers: names and values. */
const Entries = z.record(z.string(), z.string());

const METHODS: Readonly<Record<string, string>> = {
  set: "PUT",
  merge: "PATCH",
};

/** See the module comment. */
export const meta: Command = {
  name: "meta",
  summary: "read, overwrite or merge the metadata of a file",
  usage: [
    "meta get ID",
    "meta set ID NAME=VALUE…   (all other entries are removed)",
    "meta merge ID NAME=VALUE…   (other entries stay)",
  ],
  about: "Names have up to 64 bytes, values up to 256, as in FastDFS.",
  options: CONNECTION,
  examples: [
    ["kedge meta merge ID author=ann width=640", "add or change two entries"],
    ["kedge meta get ID", "one line per entry"],
  ],
  verbs: ["get", "set", "merge"],
  reads: readsWith(CONNECTION, "get"),
  exits: ["notFound", "unreachable", "refused"],

  async run(args, context) {
    const { values, words } = parse(args, CONNECTION);
    const [verb = "", id, ...rest] = words;
    const method = METHODS[verb];
    if (verb !== "get" && method === undefined) {
      throw new UsageError(`Say get, set or merge, not "${verb}"`);
    }
    if (id === undefined) throw new UsageError("Missing ID");
    const path = filePath(id, "/meta");
    const client = await openClient(values, context);
    if (method !== undefined) {
      const body = parseEntries(rest);
      if (verb === "merge" && rest.length === 0) {
        throw new UsageError("Missing NAME=VALUE");
      }
      await client.done(path, { method, body });
    } else if (rest.length > 0) {
      throw new UsageError(`Unexpected word "${rest[0]}"`);
    }
    const entries = await client.json(path, Entries);
    if (values.json) context.out.line(JSON.stringify(entries));
    else {
      for (const [name, value] of Object.entries(entries)) {
        context.out.line(`${plainText(name)}=${plainText(value)}`);
      }
    }
    return EXIT.ok;
  },
};
