/**
 * The HTTP server: from sockets to a `fetch` and back.
 *
 * @module
 */

import { servePlain } from "./http_server_plain.ts";
import type { FetchHandler, Remote } from "./http_server_plain.ts";
import { serveTls } from "./http_server_tls.ts";

export type { FetchHandler, Remote };

/** How long requests under way may take once the server closes, in ms. */
const GRACE_MS = 10_000;

/** Where and how to serve. */
export interface ServeOptions {
  /** Address to listen on. */
  readonly hostname: string;
  /** Port; 0 is any free one. */
  readonly port: number;
  /** Certificate chain in PEM; HTTPS with {@linkcode ServeOptions.key}. */
  readonly cert?: string | undefined;
  /** Its private key in PEM. */
  readonly key?: string | undefined;
  /** Closes the server when it is aborted. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How long requests under way may take once the server closes, in ms; 10
   * seconds when missing.
   */
  readonly graceMs?: number | undefined;
  /** Told why connections are closed or refused when descriptors are short. */
  readonly onShortage?: ((why: string) => void) | undefined;
}

/** A server that listens. */
export interface RunningServer {
  /** Base URL, without a slash at the end. */
  readonly url: string;
  /** The port it listens on. */
  readonly port: number;
  /**
   * Take no more connections, finish what is under way, then resolve; within
   * the grace also when a client never ends its request.
   */
  close(): Promise<void>;
}

/**
 * Serve HTTP, or HTTPS when a certificate is given.
 *
 * @param fetch Answers requests.
 * @param options Where and how.
 * @throws {Error} When the address cannot be listened on.
 */
export async function serve(
  fetch: FetchHandler,
  options: ServeOptions,
): Promise<RunningServer> {
  const { hostname, port, cert, key, signal, onShortage } = options;
  const graceMs = options.graceMs ?? GRACE_MS;
  const where = { hostname, port, graceMs, onShortage };
  const isTls = cert !== undefined && key !== undefined;
  const server = isTls
    ? await serveTls(fetch, { ...where, cert, key })
    : servePlain(fetch, where);
  const close = () => server.close();
  signal?.addEventListener("abort", () => void close(), { once: true });
  const scheme = isTls ? "https" : "http";
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return {
    url: `${scheme}://${host}:${server.port}`,
    port: server.port,
    close,
  };
}
