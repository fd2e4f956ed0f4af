/** `kedge delete`: delete files. */

import { parse } from "./args.ts";
import { CONNECTION } from "./client/connection.ts";
import { filePath, openClient } from "./client/tracker_client.ts";
import type { Command } from "./command.ts";
import { CliError, messageOf, UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { plainText } from "./text/table.ts";

const OPTIONS = {
  eventual: {
    kind: "flag",
    help: "answer when one node knows; the others follow",
  },
  ...CONNECTION,
} as const;

/** See the module comment. */
export const deleteFiles: Command = {
  name: "delete",
  summary: "delete files",
  usage: ["delete [--eventual] ID…"],
  about:
    `Deletes each file on every replica. A deleted file never comes back, also not
from a node that was away. This cannot be undone.`,
  options: OPTIONS,
  examples: [
    ["kedge delete ID", "one file"],
    ["kedge delete $(cat ids)", "many"],
  ],
  exits: ["partly", "notFound", "unreachable", "refused"],

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    if (words.length === 0) throw new UsageError("Missing ID");
    const client = await openClient(values, context);
    let failedCount = 0;
    for (const id of words) {
      try {
        await client.done(filePath(id), {
          method: "DELETE",
          query: { delete: values.eventual ? "eventual" : undefined },
        });
        context.out.line(
          values.json
            ? JSON.stringify({ id, deleted: true })
            : `${plainText(id)}\tdeleted`,
        );
      } catch (error) {
        context.signal.throwIfAborted();
        if (words.length === 1) throw error;
        failedCount++;
        const next = error instanceof CliError ? error.next : undefined;
        context.err.line(
          `kedge delete: ${plainText(id)}: ${messageOf(error)}` +
            (next === undefined ? "" : `\n  next: ${next}`),
        );
      }
    }
    if (failedCount === 0) return EXIT.ok;
    return failedCount < words.length ? EXIT.partly : EXIT.failed;
  },
};
