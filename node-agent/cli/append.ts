/** `kedge append`: append to a file that allows it. */

import { Uploaded } from "@kedge/schema";
import { exactly, parse } from "./args.ts";
import { apiError } from "./client/api_error.ts";
import { CONNECTION } from "./client/connection.ts";
import { filePath, openClient } from "./client/tracker_client.ts";
import type { Command } from "./command.ts";
import type { CommandContext } from "./context.ts";
import { CliError, messageOf } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { sizeText } from "./text/units.ts";

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

An append is not repeated by itself: after a broken connection nobody knows
whether it was done. Ask with "kedge info ID" and look at the size.`,
  options: OPTIONS,
  examples: [
    ["kedge append ID today.log", "a file"],
    ["date | kedge append ID -", "standard input"],
  ],
  exits: ["notFound", "unreachable", "refused"],

  async run(args, context) {
    const { values, words } = parse(args, OPTIONS);
    const [id = "", path = ""] = exactly(words, "ID", "FILE");
    const client = await openClient(values, context);
    const { body, sizeBytes } = await open(path, context);
    const url = await client.locate(filePath(id, "/append"), {
      method: "POST",
    });
    const ifMatch = values["if-match"];
    const response = await client.network.stream({
      url,
      method: "POST",
      headers: ifMatch === undefined ? {} : { "if-match": ifMatch },
      body,
      sizeBytes,
    }, context.signal).catch((error) => {
      throw new CliError(
        `The append may or may not have been done: ${messageOf(error)}`,
        `kedge info ${id}`,
        EXIT.unreachable,
      );
    });
    if (!response.ok) throw await apiError(response);
    const uploaded = Uploaded.parse(await response.json());
    context.out.line(
      values.json
        ? JSON.stringify(uploaded)
        : `${uploaded.id}\t${sizeText(uploaded.size)}`,
    );
    return EXIT.ok;
  },
};

async function open(
  path: string,
  context: CommandContext,
): Promise<
  { body: ReadableStream<Uint8Array>; sizeBytes: number | undefined }
> {
  if (path === "-") return { body: context.stdin, sizeBytes: undefined };
  try {
    const file = await Deno.open(path);
    return { body: file.readable, sizeBytes: (await file.stat()).size };
  } catch (error) {
    throw new CliError(`Cannot read "${path}": ${messageOf(error)}`);
  }
}
