/**
 * Uploads: place, send, check, try again with the same Idempotency-Key.
 *
 * One placement serves many small files, so that the tracker is not asked for
 * each of them.
 *
 * @module
 */

import { createHash, type Hash } from "node:crypto";
import { MIB, PlacedUpload, Uploaded } from "@kedge/schema";
import { CliError, messageOf } from "../errors.ts";
import { EXIT } from "../exit_codes.ts";
import { ApiError, apiError } from "./api_error.ts";
import { afterFailure, type Failure } from "./retry_core.ts";
import { fetchWithin, type TrackerClient } from "./tracker_client.ts";

/** Files up to this size are read whole and share placements, in bytes. */
export const SMALL_FILE_BYTES: number = MIB;
/** Uploads of one placement, so that load still spreads over nodes. */
const USES_MAX = 32;
/** A placement is not used in the last seconds of its life, in milliseconds. */
const EXPIRY_MARGIN_MS = 30_000;
/** Attempts for one file. */
export const ATTEMPTS_MAX = 6;

/** Something to upload. */
export interface UploadSource {
  /** Original name: data only. */
  readonly name: string | undefined;
  /** Length, in bytes; `undefined` for a pipe. */
  readonly sizeBytes: number | undefined;
  /** Whether `open` can be called again. */
  readonly isRepeatable: boolean;
  /** The bytes, from the first. */
  open(): Promise<ReadableStream<Uint8Array>>;
}

/** How to upload. */
export interface UploadOptions {
  readonly level: string | undefined;
  readonly group: string | undefined;
  readonly appender: boolean;
  /** Content type; the server decides when missing. */
  readonly type: string | undefined;
  /** Whether equal keys must meet the same node: no shared placements. */
  readonly isIdempotent: boolean;
  /** Metadata; printable ASCII travels with the upload. */
  readonly meta: Readonly<Record<string, string>>;
}

/** What an uploader needs of the world. */
export interface UploaderPorts {
  readonly client: TrackerClient;
  readonly signal: AbortSignal;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Wall clock, in ms since the Unix epoch: compared with expiry only. */
  wallMs(): number;
}

/** Tells how an upload goes on. */
export interface UploadWatcher {
  /** More bytes were sent; negative when they are sent again. */
  onBytes(count: number): void;
  /** An attempt failed and another follows. */
  onRetry(reason: string): void;
}

interface Placement {
  readonly placed: PlacedUpload;
  uses: number;
}

/** Uploads files to one cluster with the same options. */
export class Uploader {
  readonly #ports: UploaderPorts;
  readonly #options: UploadOptions;
  #small: Promise<Placement> | undefined;

  /** Nothing is asked yet. */
  constructor(ports: UploaderPorts, options: UploadOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  /**
   * Upload one file.
   *
   * @param source What.
   * @param key Idempotency-Key; the same for every attempt.
   * @param watcher Told about progress and retries.
   * @returns What the agent answered.
   * @throws {CliError} When it was refused, or failed too often.
   */
  async upload(
    source: UploadSource,
    key: string,
    watcher: UploadWatcher,
  ): Promise<Uploaded> {
    const attemptsMax = source.isRepeatable ? ATTEMPTS_MAX : 1;
    let placement: Placement | undefined;
    for (let attempt = 1;; attempt++) {
      let sentBytes = 0;
      const onBytes = (count: number) => {
        sentBytes += count;
        watcher.onBytes(count);
      };
      try {
        placement ??= await this.#place(source, key);
        return await this.#attempt(source, placement.placed, { key, onBytes });
      } catch (error) {
        this.#ports.signal.throwIfAborted();
        const verdict = afterFailure(attempt, attemptsMax, failureOf(error));
        if (verdict.kind === "give-up") throw finalError(error, source);
        watcher.onBytes(-sentBytes);
        watcher.onRetry(messageOf(error));
        if (verdict.where === "other") {
          placement = undefined;
          this.#small = undefined;
        }
        await this.#ports.sleep(verdict.delayMs, this.#ports.signal);
      }
    }
  }

  async #place(source: UploadSource, key: string): Promise<Placement> {
    const isSmall = source.sizeBytes !== undefined &&
      source.sizeBytes <= SMALL_FILE_BYTES;
    if (!isSmall || this.#options.isIdempotent) {
      // The tracker places equal keys at the same node, which remembers them.
      return await this.#ask(source.sizeBytes, key);
    }
    for (;;) {
      const asked = this.#small;
      if (asked === undefined) {
        // Kept before anything is awaited: files that wait meanwhile share it.
        const mine = this.#ask(SMALL_FILE_BYTES);
        this.#small = mine;
        return await mine;
      }
      const shared = await asked.catch(() => undefined);
      const untilMs = this.#ports.wallMs() + EXPIRY_MARGIN_MS;
      if (
        shared !== undefined && shared.uses < USES_MAX &&
        Date.parse(shared.placed.expires) > untilMs
      ) {
        shared.uses++;
        return shared;
      }
      if (this.#small === asked) this.#small = undefined;
    }
  }

  async #ask(
    sizeBytes: number | undefined,
    key?: string,
  ): Promise<Placement> {
    const { group, level, appender } = this.#options;
    const placed = await this.#ports.client.json("/v1/uploads", PlacedUpload, {
      method: "POST",
      headers: key === undefined ? {} : { "idempotency-key": key },
      body: {
        ...(sizeBytes === undefined ? {} : { sizeBytes }),
        ...(group === undefined ? {} : { group }),
        ...(level === undefined ? {} : { level }),
        ...(appender ? { appender } : {}),
      },
    });
    return { placed, uses: 1 };
  }

  async #attempt(
    source: UploadSource,
    placed: PlacedUpload,
    { key, onBytes }: { key: string; onBytes: (count: number) => void },
  ): Promise<Uploaded> {
    const url = this.#target(placed, source.name);
    const headers = this.#headers(key);
    const hash = createHash("sha256");
    const body = counted(await source.open(), hash, onBytes);
    const { network } = this.#ports.client;
    const { signal } = this.#ports;
    const isSmall = source.sizeBytes !== undefined &&
      source.sizeBytes <= SMALL_FILE_BYTES;
    const response = isSmall
      ? await fetchWithin(network.fetch, url, {
        method: "PUT",
        headers,
        body: await new Response(body).bytes(),
        signal,
      })
      : await network.stream({
        url,
        method: "PUT",
        headers,
        body,
        sizeBytes: source.sizeBytes,
      }, signal);
    if (!response.ok) throw await apiError(response);
    const uploaded = Uploaded.parse(await response.json());
    const sha256 = hash.digest("hex");
    if (uploaded.sha256 !== null && uploaded.sha256 !== sha256) {
      throw new CliError(
        `The node stored other bytes than were sent (${uploaded.id})`,
        `delete it: kedge delete ${uploaded.id}`,
      );
    }
    return uploaded;
  }

  #target(placed: PlacedUpload, name: string | undefined): string {
    const { level, appender } = this.#options;
    const url = new URL(placed.url);
    url.pathname = name === undefined
      ? "/v1/files"
      : `/v1/files/${encodeURIComponent(name)}`;
    if (level !== undefined) url.searchParams.set("level", level);
    if (appender) url.searchParams.set("appender", "1");
    return url.href;
  }

  #headers(key: string): Record<string, string> {
    const { type, meta } = this.#options;
    const headers: Record<string, string> = { "idempotency-key": key };
    if (type !== undefined) headers["content-type"] = type;
    for (const [name, value] of Object.entries(meta)) {
      if (isHeaderSafe(name, value)) headers[`x-kedge-meta-${name}`] = value;
    }
    return headers;
  }
}

/** Whether a metadata entry survives the way through an HTTP header. */
export function isHeaderSafe(name: string, value: string): boolean {
  return /^[a-z0-9-]+$/.test(name) && /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/
    .test(value);
}

function counted(
  body: ReadableStream<Uint8Array>,
  hash: Hash,
  onBytes: (count: number) => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array<ArrayBuffer>>({
      transform(chunk, controller) {
        hash.update(chunk);
        onBytes(chunk.length);
        controller.enqueue(new Uint8Array(chunk));
      },
    }),
  );
}

/** How the retry policy sees what an attempt threw. */
export function failureOf(error: unknown): Failure {
  if (error instanceof ApiError) return error.failure;
  // A wrong answer is not mended by asking again; a missing one may be.
  if (error instanceof CliError && error.exit !== EXIT.unreachable) {
    return { kind: "refused", status: 400, slug: "", retryAfterMs: undefined };
  }
  return { kind: "network" };
}

function finalError(error: unknown, source: UploadSource): unknown {
  if (error instanceof CliError) return error;
  const uncertain = source.isRepeatable
    ? "run the command again; with --idempotent nothing is stored twice"
    : "send it again; a pipe cannot be read twice by itself";
  return new CliError(messageOf(error), uncertain, EXIT.unreachable);
}
