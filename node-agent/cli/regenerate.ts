/** `kedge regenerate`: give an appender file the ID of one that stays as it is. */

import { exactly, parse } from "./args.ts";
import { sendChange } from "./client/changes.ts";
import { CONNECTION } from "./client/connection.ts";
import { openClient } from "./client/tracker_client.ts";
import type { Command } from "./command.ts";
import { EXIT } from "./exit_codes.ts";
import { sizeText } from "./text/units.ts";

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
    const client = await openClient(values, context);
    const uploaded = await sendChange(
      {
        what: "renaming",
        id,
        method: "POST",
        suffix: "/regenerate",
      },
      client,
      context,
    );
    context.out.line(
      values.json
        ? JSON.stringify(uploaded)
        : `${uploaded.id}\t${sizeText(uploaded.size)}`,
    );
    return EXIT.ok;
  },
};
