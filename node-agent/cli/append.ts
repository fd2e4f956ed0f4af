/** `kedge append`: append to a file that allows it. */

import { exactly, parse } from "./args.ts";
import { makeChange } from "./make_change.ts";
import { CONNECTION } from "./client/connection.ts";
import type { Command } from "./command.ts";

const OPTIONS = {
  "if-match": {
    kind: "text",
    value: "ETAG",
    help: "only if the file is in this state",
  },
  ...CONNECTION,
} as const;

/** See the module comment. */
export const append: Command = {
  name: "append",
  summary: "append to a file that was uploaded with --appender",
  usage: ["append ID FILE", "append ID -   (standard input)"],
  about:
    `Appends the content of FILE in one piece. Concurrent appends are put one after
the other; none is lost or mixed with another.

After a broken connection it is sent again with the same Idempotency-Key, so
that it is made once. A pipe cannot be sent twice: then nobody knows whether the
append was done; ask with "kedge info ID" and look at the size.`,
  options: OPTIONS,
  examples: [
    ["kedge append ID today.log", "a file"],
    ["date | kedge append ID -", "standard input"],
  ],
  exits: ["notFound", "unreachable", "refused"],

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    const [id = "", path = ""] = exactly(words, "ID", "FILE");
    const ifMatch = values["if-match"];
    return await makeChange(
      {
        what: "append",
        id,
        path,
        method: "POST",
        suffix: "/append",
        headers: ifMatch === undefined ? {} : { "if-match": ifMatch },
      },
      values,
      context,
    );
  },
};
