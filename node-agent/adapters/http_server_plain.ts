/**
 * Plain HTTP: `Deno.serve`, closed within a known time.
 *
 * @module
 */

/** Answers requests; never throws. */
export type FetchHandler = (request: Request) => Response | Promise<Response>;

/** Where to listen, and how long to wait at the end. */
export interface PlainOptions {
  readonly hostname: string;
  readonly port: number;
  /** How long requests under way may take once the server closes, in ms. */
  readonly graceMs: number;
}

/** A plain server that listens. */
export interface PlainServer {
  readonly port: number;
  /**
   * Take no more connections, finish what is under way, then resolve; within
   * the grace also when a client never ends its request.
   */
  close(): Promise<void>;
}

/**
 * Serve plain HTTP.
 *
 * @throws {Error} When the address cannot be listened on.
 */
export function servePlain(
  fetch: FetchHandler,
  { hostname, port, graceMs }: PlainOptions,
): PlainServer {
  const server = Deno.serve(
    { hostname, port, onListen() {} },
    (request) => fetch(request),
  );
  let closed: Promise<void> | undefined;
  return {
    port: server.addr.port,
    close: () => closed ??= closeWithin(server, graceMs),
  };
}

/**
 * A client that never ends its request must not keep the agent from stopping.
 * `Deno.serve` cannot cut it off once it shuts down (an abort then throws), so
 * such a connection ends with the process.
 */
async function closeWithin(
  server: Deno.HttpServer,
  graceMs: number,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, graceMs);
  await Promise.race([server.shutdown(), promise]);
  clearTimeout(timer);
}
