/** `kedge modify`: overwrite a part of an appender file. */

import { exactly, parse, wholeNumber } from "./args.ts";
import { makeChange } from "./make_change.ts";
import { CONNECTION } from "./client/connection.ts";
import type { Command } from "./command.ts";

const OPTIONS = {
  offset: {
    kind: "text",
    value: "N",
    fallback: "0",
    help: "where to begin, in bytes",
  },
  ...CONNECTION,
} as const;

/** See the module comment. */
export const modify: Command = {
  name: "modify",
  summary: "overwrite a part of an appender file",
  usage: ["modify ID FILE [--offset N]"],
  about:
    `Writes the content of FILE over the bytes from --offset on; what reaches beyond
the end extends the file. Made once, as with "kedge append".`,
  options: OPTIONS,
  examples: [["kedge modify ID head.bin --offset 4096", "from byte 4,096 on"]],
  exits: ["notFound", "unreachable", "refused"],

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    const [id = "", path = ""] = exactly(words, "ID", "FILE");
    const offset = wholeNumber("--offset", values.offset, {
      min: 0,
      max: Number.MAX_SAFE_INTEGER,
    });
    return await makeChange(
      {
        what: "change",
        id,
        path,
        method: "PUT",
        suffix: "/content",
        query: { offset: String(offset) },
      },
      values,
      context,
    );
  },
};
