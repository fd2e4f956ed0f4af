/** `kedge append`: append to a file that allows it. */

import { Uploaded } from "@kedge/schema";
import { exactly, parse } from "./args.ts";
import { apiError } from "./client/api_error.ts";
import { CONNECTION } from "./client/connection.ts";
import { afterFailure } from "./client/retry_core.ts";
import {
  filePath,
  openClient,
  type TrackerClient,
} from "./client/tracker_client.ts";
import { ATTEMPTS_MAX, failureOf } from "./client/uploader.ts";
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
    const append: Append = {
      id,
      path,
      headers: {
        "idempotency-key": crypto.randomUUID(),
        ...(ifMatch === undefined ? {} : { "if-match": ifMatch }),
      },
    };
    const client = await openClient(values, context);
    const uploaded = await send(append, client, context);
    context.out.line(
      values.json
        ? JSON.stringify(uploaded)
        : `${uploaded.id}\t${sizeText(uploaded.size)}`,
    );
    return EXIT.ok;
  },
};

interface Append {
  readonly id: string;
  readonly path: string;
  readonly headers: Record<string, string>;
}

async function send(
  append: Append,
  client: TrackerClient,
  context: CommandContext,
): Promise<Uploaded> {
  const attemptsMax = append.path === "-" ? 1 : ATTEMPTS_MAX;
  for (let attempt = 1;; attempt++) {
    try {
      return await attemptOf(append, client, context);
    } catch (error) {
      context.signal.throwIfAborted();
      const verdict = afterFailure(attempt, attemptsMax, failureOf(error));
      if (verdict.kind === "give-up") throw finalError(error, append.id);
      context.err.line(`${append.id}: ${messageOf(error)}; trying again`);
      await context.sleep(verdict.delayMs, context.signal);
    }
  }
}

/** Another node may own the file by now: the tracker is asked each time. */
async function attemptOf(
  { id, path, headers }: Append,
  client: TrackerClient,
  context: CommandContext,
): Promise<Uploaded> {
  const url = await client.locate(filePath(id, "/append"), { method: "POST" });
  const { body, sizeBytes } = await open(path, context);
  const request = { url, method: "POST", headers, body, sizeBytes };
  const response = await client.network.stream(request, context.signal);
  if (!response.ok) throw await apiError(response);
  return Uploaded.parse(await response.json());
}

function finalError(error: unknown, id: string): CliError {
  if (error instanceof CliError) return error;
  return new CliError(
    `The append may or may not have been done: ${messageOf(error)}`,
    `kedge info ${id}`,
    EXIT.unreachable,
  );
}

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
