/**
 * HTTPS: `node:tls` takes the connections and passes the bytes to a plain
 * `Deno.serve` on the loopback interface of the same process.
 *
 * `Deno.serve` with a certificate leaves Nagle's algorithm on, so that a
 * keep-alive answer of a few KiB waits 44 ms for the client's delayed
 * acknowledgement. This way costs one hop and keeps one HTTP server for both
 * (docs/decisions/0002-tls-server.md).
 *
 * @module
 */

import { createPrivateKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { createServer } from "node:tls";
import type { Server, TLSSocket } from "node:tls";
import { descriptors, roomFor } from "./descriptors.ts";
import { servePlain } from "./http_server_plain.ts";
import type {
  FetchHandler,
  PlainOptions,
  PlainServer,
} from "./http_server_plain.ts";

/** How long a client may take for its handshake, in ms. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** How long a connection may be silent in both directions, in ms. */
const IDLE_TIMEOUT_MS = 120_000;
/** How long a client may take to close after we have, in ms of silence. */
const LINGER_MS = 2_000;
/** Descriptors of one connection: its own, and both ends of the inner one. */
const DESCRIPTORS_EACH = 3;
/** Pause before the address is tried again, in ms. */
const AGAIN_MS = 100;
const LOOPBACK = "127.0.0.1";

/**
 * Serve HTTPS.
 *
 * @param fetch Answers requests. Their URLs begin with `http:`.
 * @param options With certificate and key.
 * @throws {Error} When the address cannot be listened on, or the certificate
 * and the key do not fit.
 */
export async function serveTls(
  fetch: FetchHandler,
  options: PlainOptions & { readonly cert: string; readonly key: string },
): Promise<PlainServer> {
  const { hostname, port, cert, key } = options;
  checkPair(cert, key);
  const sockets = new Set<Socket>();
  const server = createServer({
    cert,
    key,
    minVersion: "TLSv1.2",
    ALPNProtocols: ["http/1.1"],
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  });
  await listen(server, hostname, port);
  const loopback = { hostname: LOOPBACK, port: 0 };
  const outer = new Map<number, string>();
  const inner = servePlain((request, remote) => {
    const address = outer.get(remote.port()) ?? "";
    return fetch(request, {
      address: () => address,
      port: () => remote.port(),
      left: () => remote.left(),
    });
  }, { ...options, ...loopback });
  server.on("secureConnection", (outside) => join(outside, inner.port, outer));
  const address = server.address();
  const bound = typeof address === "object" && address ? address.port : port;
  let closed: Promise<void> | undefined;
  const again = () => {
    if (closed === undefined) server.listen(bound, hostname);
  };
  server.on("error", () => setTimeout(again, AGAIN_MS));
  admit(server, sockets, again);
  const close = () => closed ??= closeBoth(server, inner, sockets);
  return { port: bound, close };
}

async function listen(
  server: Server,
  hostname: string,
  port: number,
): Promise<void> {
  // A failed handshake is the client's affair; its socket is closed already.
  server.on("tlsClientError", () => {});
  const listening = once(server, "listening");
  server.listen(port, hostname);
  await listening;
}

/**
 * Keep the connections below what the descriptors allow: at that number nobody
 * listens until one of them ends. A server that could not accept, or dropped a
 * connection, would be deaf for good (Deno 2.9.6).
 */
function admit(server: Server, sockets: Set<Socket>, listenAgain: () => void) {
  const max = roomFor(DESCRIPTORS_EACH, descriptors());
  let isFull = false;
  const strangers = new Set<string>();
  server.on("connection", (socket) => {
    const name = nameOf(socket);
    sockets.add(socket);
    strangers.add(name);
    const timer = setTimeout(() => {
      if (strangers.has(name)) socket.destroy();
    }, HANDSHAKE_TIMEOUT_MS);
    socket.once("close", () => {
      clearTimeout(timer);
      sockets.delete(socket);
      strangers.delete(name);
      if (isFull && sockets.size < max) {
        isFull = false;
        listenAgain();
      }
    });
    if (sockets.size < max || isFull) return;
    isFull = true;
    server.close();
  });
  server.on("secureConnection", (socket) => strangers.delete(nameOf(socket)));
}

function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/**
 * Pass bytes both ways until one side ends or fails.
 *
 * @param outer Gets the client's address, by the port of our inner end.
 */
function join(
  outside: TLSSocket,
  port: number,
  outer: Map<number, string>,
): void {
  const inside = connect(port, LOOPBACK);
  const address = outside.remoteAddress ?? "";
  let innerPort: number | undefined;
  inside.once("connect", () => {
    innerPort = inside.localPort;
    if (innerPort !== undefined) outer.set(innerPort, address);
  });
  inside.once("close", () => {
    if (innerPort !== undefined) outer.delete(innerPort);
  });
  inside.setNoDelay(true);
  outside.setTimeout(IDLE_TIMEOUT_MS, () => outside.destroy());
  outside.pipe(inside).pipe(outside);
  const end = () => {
    outside.destroy();
    inside.destroy();
  };
  outside.on("error", end);
  inside.on("error", end);
  outside.on("close", end);
  inside.on("close", () => {
    outside.end();
    // Nobody reads what the client still sends: take it, or its end is not seen.
    outside.unpipe(inside).resume();
    outside.setTimeout(LINGER_MS, () => outside.destroy());
  });
}

async function closeBoth(
  server: Server,
  inner: PlainServer,
  sockets: ReadonlySet<Socket>,
): Promise<void> {
  const stopped = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  await inner.close();
  // The last answers may still be on their way; who says nothing is cut off.
  const timer = setTimeout(() => {
    for (const socket of sockets) socket.destroy();
  }, LINGER_MS);
  await stopped;
  clearTimeout(timer);
}

/** Fail at the start, not at the first client. */
function checkPair(cert: string, key: string): void {
  const certificate = new X509Certificate(cert);
  if (certificate.checkPrivateKey(createPrivateKey(key))) return;
  throw new Error("the private key is not that of the certificate");
}
