/** `kedge regenerate`: give an appender file the ID of one that stays as it is. */

import { exactly, parse } from "./args.ts";
import { makeChange } from "./make_change.ts";
import { CONNECTION } from "./client/connection.ts";
import type { Command } from "./command.ts";

const OPTIONS = CONNECTION;

/** See the module comment. */
export const regenerate: Command = {
  name: "regenerate",
  summary: "give an appender file the ID of one that stays as it is",
  usage: ["regenerate ID"],
  about:
    `Prints a new ID that carries length and checksum; from then on the file cannot
be changed, and the old ID is no more.`,
  options: OPTIONS,
  examples: [["kedge regenerate ID", "when a log is complete"]],
  exits: ["notFound", "unreachable", "refused"],

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    const [id = ""] = exactly(words, "ID");
    return await makeChange(
      {
        what: "renaming",
        id,
        method: "POST",
        suffix: "/regenerate",
      },
      values,
      context,
    );
  },
};
