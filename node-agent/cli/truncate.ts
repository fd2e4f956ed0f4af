/** `kedge truncate`: cut or extend an appender file. */

import { exactly, parse, wholeNumber } from "./args.ts";
import { UsageError } from "./errors.ts";
import { makeChange } from "./make_change.ts";
import { CONNECTION } from "./client/connection.ts";
import type { Command } from "./command.ts";

const OPTIONS = {
  size: {
    kind: "text",
    value: "N",
    help: "its length afterwards, in bytes; 0 makes it empty",
  },
  ...CONNECTION,
} as const;

/** See the module comment. */
export const truncate: Command = {
  name: "truncate",
  summary: "cut or extend an appender file",
  usage: ["truncate ID --size N"],
  about: `Cuts the file to --size bytes, or extends it with zeros.`,
  options: OPTIONS,
  examples: [
    ["kedge truncate ID --size 4096", "keep the first 4096 bytes"],
    ["kedge truncate ID --size 0", "make it empty"],
  ],
  exits: ["notFound", "unreachable", "refused"],

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    const [id = ""] = exactly(words, "ID");
    if (values.size === undefined) {
      throw new UsageError(
        "Missing --size: say how many bytes to keep, --size 0 to keep none",
      );
    }
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
