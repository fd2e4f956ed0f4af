/** `kedge truncate`: cut or extend an appender file. */

import { exactly, parse, wholeNumber } from "./args.ts";
import { sendChange } from "./client/changes.ts";
import { CONNECTION } from "./client/connection.ts";
import { openClient } from "./client/tracker_client.ts";
import type { Command } from "./command.ts";
import { EXIT } from "./exit_codes.ts";
import { sizeText } from "./text/units.ts";

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
    const client = await openClient(values, context);
    const uploaded = await sendChange(
      {
        what: "truncate",
        id,
        method: "POST",
        suffix: "/truncate",
        query: { size: String(size) },
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
