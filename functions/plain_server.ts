/**
 * Plain HTTP for a self-hosted tracker: `Deno.serve` that outlives a shortage
 * of file descriptors.
 *
 * `Deno.serve` never closes a silent connection, and listens no more once it
 * could not accept one. Another then takes its place at the same address, and
 * the old one is shut down, which closes what is idle. Requests under way are
 * small; one whose body breaks by that is sent again by its client.
 *
 * @module
 */

import type { HostPort } from "@kedge/schema/config/units";
import type { Fetch } from "./http/router.ts";
import type { RunningServer } from "./https_server.ts";

/** Pause before the address is tried again, in ms. */
const AGAIN_MS = 50;

/**
 * Serve HTTP.
 *
 * @param fetch Answers requests.
 * @param where Address; port 0 is any free one.
 * @param onShortage Told why connections were closed.
 * @throws {Error} When the address cannot be listened on.
 */
export function servePlain(
  fetch: Fetch,
  where: HostPort,
  onShortage: (why: string) => void,
): RunningServer {
  let current: Deno.HttpServer<Deno.NetAddr> | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isClosed = false;
  const listen = (port: number): number => {
    const server = Deno.serve({ ...where, port, onListen() {} }, fetch);
    current = server;
    server.finished.catch((error: unknown) => {
      if (isClosed) return;
      current = undefined;
      onShortage(`cannot accept a connection: ${String(error)}`);
      server.shutdown().catch(() => {});
      again(server.addr.port);
    });
    return server.addr.port;
  };
  const again = (port: number) => {
    timer = setTimeout(() => {
      try {
        listen(port);
      } catch {
        again(port); // not free yet
      }
    }, AGAIN_MS);
  };
  const port = listen(where.port);
  return {
    port,
    close: async () => {
      isClosed = true;
      clearTimeout(timer);
      await current?.shutdown();
    },
  };
}
