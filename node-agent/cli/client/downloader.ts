/**
 * Downloads: ask, go on after a break, try other replicas, check the content.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { FileInfo, GroupView } from "@kedge/schema";
import { CliError, messageOf } from "../errors.ts";
import { EXIT } from "../exit_codes.ts";
import { ApiError, apiError } from "./api_error.ts";
import { rangeAnswer } from "./resume_core.ts";
import { afterFailure, type Failure } from "./retry_core.ts";
import { fetchWithin, filePath, type TrackerClient } from "./tracker_client.ts";

/** Attempts for one file. */
export const ATTEMPTS_MAX = 8;

/** Receives the bytes of a download. */
export interface DownloadSink {
  /** Bytes that lie here already. */
  readonly haveBytes: number;
  /** The next bytes. */
  write(chunk: Uint8Array): Promise<void>;
  /**
   * Forget everything and begin again.
   *
   * @returns Whether that is possible: not for standard output.
   */
  restart(): Promise<boolean>;
  /** The validator of the content that is now being written. */
  note(etag: string | null): Promise<void>;
}

/** What a downloader needs of the world. */
export interface DownloaderPorts {
  readonly client: TrackerClient;
  readonly signal: AbortSignal;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** More bytes arrived; negative when some are thrown away. */
  onBytes(count: number): void;
  /** An attempt failed and another follows. */
  onRetry(reason: string): void;
}

/** What is known of a file. */
export async function fileInfo(
  client: TrackerClient,
  id: string,
): Promise<FileInfo> {
  return await client.json(filePath(id, "/info"), FileInfo, {
    query: client.linkTo(id),
  });
}

/**
 * Fetch the content of a file into a sink, completely.
 *
 * @param info The file.
 * @param sink Gets what is missing after `haveBytes`.
 * @param etag Validator of the bytes that the sink has.
 * @throws {CliError} When no replica gave all of it.
 */
export async function download(
  info: FileInfo,
  sink: DownloadSink,
  { etag, ports }: { etag: string | null; ports: DownloaderPorts },
): Promise<void> {
  // Kept outside of an attempt: it must survive one that breaks off.
  const known = { etag };
  let sources: string[] | undefined;
  for (let attempt = 1;; attempt++) {
    // First the tracker's choice, then every replica in turn.
    const url = attempt === 1
      ? `${ports.client.url}${ports.client.contentPath(info.id)}`
      : sources?.[attempt % sources.length] ??
        `${ports.client.url}${ports.client.contentPath(info.id)}`;
    try {
      await fetchRest(url, sink, { known, ports });
      if (sink.haveBytes === info.size) return;
      throw new TypeError(
        `the answer ended after ${sink.haveBytes} of ${info.size} bytes`,
      );
    } catch (error) {
      ports.signal.throwIfAborted();
      const verdict = afterFailure(attempt, ATTEMPTS_MAX, failureOf(error));
      if (verdict.kind === "give-up") throw finalError(error, info.id);
      ports.onRetry(messageOf(error));
      sources ??= await replicas(ports.client, info.group, info.id);
      await ports.sleep(verdict.delayMs, ports.signal);
    }
  }
}

async function fetchRest(
  url: string,
  sink: DownloadSink,
  { known, ports }: {
    known: { etag: string | null };
    ports: DownloaderPorts;
  },
): Promise<void> {
  const { etag } = known;
  const from = etag === null ? 0 : sink.haveBytes;
  if (from === 0) await startAgain(sink, ports);
  const headers: Record<string, string> = from > 0 && etag !== null
    ? { range: `bytes=${from}-`, "if-range": etag }
    : {};
  const response = await fetchWithin(ports.client.network.fetch, url, {
    headers,
    signal: ports.signal,
  });
  if (!response.ok) throw await apiError(response);
  const answer = rangeAnswer(
    from,
    response.status,
    response.headers.get("content-range"),
  );
  if (answer === "wrong") {
    await response.body?.cancel();
    throw new TypeError("the answer is not the range that was asked for");
  }
  if (answer === "whole" && from > 0) await startAgain(sink, ports);
  known.etag = response.headers.get("etag");
  await sink.note(known.etag);
  for await (const chunk of response.body ?? []) {
    await sink.write(chunk);
    ports.onBytes(chunk.length);
  }
}

async function startAgain(
  sink: DownloadSink,
  ports: DownloaderPorts,
): Promise<void> {
  if (sink.haveBytes === 0) return;
  const lost = sink.haveBytes;
  if (!await sink.restart()) {
    throw new CliError(
      "The content changed while it was being read, and standard output cannot be taken back",
      "write to a file with -o",
    );
  }
  ports.onBytes(-lost);
}

/** Content URLs of every node of the group; empty when nobody tells. */
async function replicas(
  client: TrackerClient,
  group: string,
  id: string,
): Promise<string[]> {
  try {
    const view = await client.json(`/v1/groups/${group}`, GroupView);
    const urls = view.nodes.flatMap(({ report }) =>
      report === null ? [] : [`${report.url}${client.contentPath(id)}`]
    );
    return [...urls, `${client.url}${client.contentPath(id)}`];
  } catch {
    return [];
  }
}

/** SHA-256 of a file on disk, in hex. */
export async function fileSha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  const buffer = new Uint8Array(256 * 1024);
  for (;;) {
    const count = await file.read(buffer);
    if (count === null) return hash.digest("hex");
    hash.update(buffer.subarray(0, count));
  }
}

function failureOf(error: unknown): Failure {
  if (error instanceof ApiError) return error.failure;
  if (error instanceof CliError && error.exit !== EXIT.unreachable) {
    return { kind: "refused", status: 400, slug: "", retryAfterMs: undefined };
  }
  return { kind: "network" };
}

function finalError(error: unknown, id: string): unknown {
  if (error instanceof CliError) return error;
  return new CliError(
    `Cannot read ${id}: ${messageOf(error)}`,
    "run the same command again: it goes on where it stopped; see kedge status",
    EXIT.unreachable,
  );
}
