/** `kedge derive`: store a file beside its master: a thumbnail, say. */

import { extensionOf } from "@kedge/schema/file-id";
import { exactly, parse } from "./args.ts";
import { makeChange } from "./make_change.ts";
import { CONNECTION } from "./client/connection.ts";
import type { Command } from "./command.ts";
import { UsageError } from "./errors.ts";

const OPTIONS = {
  prefix: {
    kind: "text",
    value: "TEXT",
    help: "1 to 16 of A-Z a-z 0-9 . _ -, such as _150x150",
  },
  ...CONNECTION,
} as const;

/** See the module comment. */
export const derive: Command = {
  name: "derive",
  summary: "store a file beside its master: a thumbnail, say",
  usage: ["derive MASTER_ID FILE --prefix PREFIX"],
  about:
    `The ID is that of the master with the prefix before the extension, so a program
that knows the master knows it too (FastDFS: slave files).`,
  options: OPTIONS,
  examples: [["kedge derive ID small.jpg --prefix _150x150", "…_150x150.jpg"]],
  exits: ["notFound", "unreachable", "refused"],

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    const [id = "", path = ""] = exactly(words, "MASTER_ID", "FILE");
    const { prefix } = values;
    if (prefix === undefined) throw new UsageError("Missing --prefix");
    return await makeChange(
      {
        what: "upload",
        id,
        path,
        method: "POST",
        suffix: "/derived",
        query: { prefix, ext: extensionOf(path) },
      },
      values,
      context,
    );
  },
};
