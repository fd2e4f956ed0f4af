/**
 * The HTTP server: from sockets to a `fetch` and back.
 *
 * @module
 */

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
export function serve(
  fetch: FetchHandler,
  options: ServeOptions,
): Promise<RunningServer> {
  const { hostname, port, cert, key, signal } = options;
  const base = { hostname, port, onListen() {} };
  const tls = cert === undefined || key === undefined ? {} : { cert, key };
  const server = Deno.serve({ ...base, ...tls }, (request) => fetch(request));
  const scheme = "cert" in tls ? "https" : "http";
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  const close = () => server.shutdown();
  signal?.addEventListener("abort", () => void close(), { once: true });
  return Promise.resolve({
    url: `${scheme}://${host}:${server.addr.port}`,
    port: server.addr.port,
    close,
  });
}
