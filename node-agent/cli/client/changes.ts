/**
 * Changes of a file that exists: sent to its owner, again when a connection
 * breaks, made once.
 *
 * @module
 */

import { Uploaded } from "@kedge/schema";
import type { CommandContext } from "../context.ts";
import { CliError, messageOf } from "../errors.ts";
import { EXIT } from "../exit_codes.ts";
import { apiError } from "./api_error.ts";
import { afterFailure } from "./retry_core.ts";
import { filePath, type TrackerClient } from "./tracker_client.ts";
import { ATTEMPTS_MAX, failureOf } from "./uploader.ts";

/** A change. */
export interface FileChange {
  /** What it is, as in "the append may or may not have been done". */
  readonly what: string;
  /** The file. */
  readonly id: string;
  readonly method: "POST" | "PUT";
  /** Part of the file's path, such as `/append`. */
  readonly suffix: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Local file with the bytes, `-` for standard input; none when missing. */
  readonly path?: string | undefined;
  /** The bytes themselves, instead. */
  readonly bytes?: Uint8Array;
}

/**
 * Make a change.
 *
 * @returns The file afterwards.
 * @throws {CliError} Refused, or nobody knows whether it was made.
 */
export async function sendChange(
  change: FileChange,
  client: TrackerClient,
  context: CommandContext,
): Promise<Uploaded> {
  const attemptsMax = change.path === "-" ? 1 : ATTEMPTS_MAX;
  const key = crypto.randomUUID();
  for (let attempt = 1;; attempt++) {
    try {
      return await attemptOf(change, key, { client, context });
    } catch (error) {
      context.signal.throwIfAborted();
      const verdict = afterFailure(attempt, attemptsMax, failureOf(error));
      if (verdict.kind === "give-up") throw finalError(error, change);
      context.err.line(`${change.id}: ${messageOf(error)}; trying again`);
      await context.sleep(verdict.delayMs, context.signal);
    }
  }
}

/** Another node may own the file by now: the tracker is asked each time. */
async function attemptOf(
  change: FileChange,
  key: string,
  { client, context }: {
    readonly client: TrackerClient;
    readonly context: CommandContext;
  },
): Promise<Uploaded> {
  const { id, method, suffix, query, headers } = change;
  const url = await client.locate(filePath(id, suffix), {
    method,
    ...(query === undefined ? {} : { query }),
  });
  const { body, sizeBytes } = await open(change, context);
  const response = await client.network.stream({
    url,
    method,
    headers: { "idempotency-key": key, ...headers },
    body,
    sizeBytes,
  }, context.signal);
  if (!response.ok) throw await apiError(response);
  return Uploaded.parse(await response.json());
}

function finalError(error: unknown, { id, what }: FileChange): CliError {
  if (error instanceof CliError) return error;
  return new CliError(
    `The ${what} may or may not have been done: ${messageOf(error)}`,
    `kedge info ${id}`,
    EXIT.unreachable,
  );
}

async function open(
  { path, bytes }: FileChange,
  context: CommandContext,
): Promise<
  { body: ReadableStream<Uint8Array>; sizeBytes: number | undefined }
> {
  if (path === undefined) {
    const body = ReadableStream.from(bytes === undefined ? [] : [bytes]);
    return { body, sizeBytes: bytes?.length ?? 0 };
  }
  if (path === "-") return { body: context.stdin, sizeBytes: undefined };
  try {
    const file = await Deno.open(path);
    return { body: file.readable, sizeBytes: (await file.stat()).size };
  } catch (error) {
    throw new CliError(`Cannot read "${path}": ${messageOf(error)}`);
  }
}
