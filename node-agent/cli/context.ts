/**
 * What a command may touch: the world, as one argument, so that a test needs no
 * process, no terminal and no network.
 *
 * @module
 */

import type { Log } from "../ports.ts";

/** Where text goes: standard output or standard error. */
export interface Output {
  /** One line; the line end is added. */
  line(text: string): void;
  /** Text as it is, such as a progress bar without a line end. */
  write(text: string): void;
  /** Bytes as they are; resolves when they are taken (back-pressure). */
  bytes(chunk: Uint8Array): Promise<void>;
  /** Width in columns when a person is looking, otherwise `undefined`. */
  readonly columns: number | undefined;
}

/** `fetch`, or something that looks like it. */
export type Fetch = (
  input: string | URL | Request,
  init?: RequestInit,
) => Promise<Response>;

/** A request whose body is a stream of known length. */
export interface StreamRequest {
  /** Where. */
  readonly url: string;
  /** `PUT`, `POST`, … */
  readonly method: string;
  /** Headers; `content-length` is set from `sizeBytes`. */
  readonly headers: Readonly<Record<string, string>>;
  /** The body. */
  readonly body: ReadableStream<Uint8Array>;
  /** Its length, in bytes; `undefined` sends chunks. */
  readonly sizeBytes: number | undefined;
}

/** Ways to reach servers, with one set of trusted authorities. */
export interface Network {
  /** Requests with small bodies, and every download. */
  readonly fetch: Fetch;
  /** Streams a large body with Content-Length, which `fetch` cannot. */
  stream(request: StreamRequest, signal: AbortSignal): Promise<Response>;
}

/** What a command may touch; a test passes its own. */
export interface CommandContext {
  /** Environment variables. */
  readonly env: Readonly<Record<string, string>>;
  /** Results. */
  readonly out: Output;
  /** Progress, hints and errors. */
  readonly err: Output;
  /** Standard input. */
  readonly stdin: ReadableStream<Uint8Array>;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  /**
   * Ways to reach servers.
   *
   * @param caPem More authorities to trust, as PEM text.
   */
  network(caPem: string | undefined): Network;
  /** The log of a long-running program, on standard error. */
  openLog(format: "text" | "json", level?: "info" | "warn"): Log;
  /** Milliseconds since some fixed moment; never goes back. */
  nowMs(): number;
  /** Wait; rejects when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}
