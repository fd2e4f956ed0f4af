/** `kedge truncate`: cut or extend an appender file. */

import { exactly, parse, wholeNumber } from "./args.ts";
import { makeChange } from "./make_change.ts";
import { CONNECTION } from "./client/connection.ts";
import type { Command } from "./command.ts";

const OPTIONS = {
  size: {
    kind: "text",
    value: "N",
    fallback: "0",
    help: "its length afterwards, in bytes",
  },
  ...CONNECTION,
} as const;

/** See the module comment. */
export const truncate: Command = {
  name: "truncate",
  summary: "cut or extend an appender file",
  usage: ["truncate ID [--size N]"],
  about: `Cuts the file to --size bytes, or extends it with zeros.`,
  options: OPTIONS,
  examples: [["kedge truncate ID", "make it empty"]],
  exits: ["notFound", "unreachable", "refused"],

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    const [id = ""] = exactly(words, "ID");
    const size = wholeNumber("--size", values.size, {
      min: 0,
      max: Number.MAX_SAFE_INTEGER,
    });
    return await makeChange(
      {
        what: "truncate",
        id,
        method: "POST",
        suffix: "/truncate",
        query: { size: String(size) },
      },
      values,
      context,
    );
  },
};
