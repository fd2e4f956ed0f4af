/** `kedge monitor`: the status again and again. */

import { parse, wholeNumber } from "./args.ts";
import { parseDuration } from "@kedge/schema/config/units";
import { allGroups } from "./client/cluster.ts";
import { CONNECTION } from "./client/connection.ts";
import { openClient } from "./client/tracker_client.ts";
import type { Command } from "./command.ts";
import { messageOf, UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { statusLines } from "./text/cluster_text.ts";

const OPTIONS = {
  interval: {
    kind: "text",
    value: "TIME",
    fallback: "1s",
    help: "pause between two looks",
  },
  count: { kind: "text", value: "N", help: "stop after so many looks" },
  ...CONNECTION,
} as const;

/** See the module comment. */
export const monitor: Command = {
  name: "monitor",
  summary: "the status, live",
  usage: ["monitor [--interval 1s] [--count N]"],
  about:
    `Draws the screen of "kedge status" again and again, until Ctrl-C. A tracker
that does not answer is shown, and asked again. With --json one line per look.`,
  options: OPTIONS,
  examples: [
    ["kedge monitor", "watch it heal"],
    ["kedge monitor --json --count 10", "ten samples"],
  ],
  exits: ["refused"],
  reads: true,

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    if (words.length > 0) throw new UsageError(`Unexpected word "${words[0]}"`);
    const intervalMs = parseDuration(values.interval);
    if (intervalMs === undefined) {
      throw new UsageError(`--interval must be a duration such as 1s`);
    }
    const count = values.count === undefined
      ? Infinity
      : wholeNumber("--count", values.count, { min: 1, max: 1e9 });
    const client = await openClient(values, context);
    const { out, signal } = context;
    for (let look = 1; look <= count && !signal.aborted; look++) {
      const groups = await allGroups(client).catch((error) => messageOf(error));
      if (signal.aborted) break;
      if (values.json) {
        out.line(JSON.stringify(
          typeof groups === "string" ? { error: groups } : { groups },
        ));
      } else {
        const lines = typeof groups === "string"
          ? [`NO ANSWER: ${groups}`]
          : statusLines(groups, out.columns);
        // Home, the lines each cleared to their end, then clear what is below.
        out.write(
          out.columns === undefined
            ? lines.join("\n") + "\n\n"
            : `\x1b[H${lines.map((line) => `${line}\x1b[K\n`).join("")}\x1b[J`,
        );
      }
      if (look < count) {
        await context.sleep(intervalMs, signal).catch(() => {});
      }
    }
    return EXIT.ok;
  },
};
