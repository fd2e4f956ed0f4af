/**
 * The HTTP server: from sockets to a `fetch` and back.
 *
 * @module
 */

import { serveTls } from "./http_server_tls.ts";

/** Answers requests; never throws. */
export type FetchHandler = (request: Request) => Response | Promise<Response>;

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
}

/** A server that listens. */
export interface RunningServer {
  /** Base URL, without a slash at the end. */
  readonly url: string;
  /** The port it listens on. */
  readonly port: number;
  /** Take no more connections, finish what is under way, then resolve. */
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
  const { hostname, port, cert, key, signal } = options;
  if (cert !== undefined && key !== undefined) {
    return await serveTls(fetch, { ...options, cert, key });
  }
  const where = { hostname, port, onListen() {} };
  const server = Deno.serve(where, (request) => fetch(request));
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  let closed: Promise<void> | undefined;
  const close = () => closed ??= server.shutdown();
  signal?.addEventListener("abort", () => void close(), { once: true });
  const url = `http://${host}:${server.addr.port}`;
  return { url, port: server.addr.port, close };
}
