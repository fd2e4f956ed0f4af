/**
 * HTTPS for a self-hosted tracker, on node:https.
 *
 * `Deno.serve` with a certificate leaves TCP_NODELAY off: replies of 1 KB and
 * more wait 44 ms for a delayed acknowledgement. node:https sets it.
 * Source: reference measurements, Deno 2.9.6.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import { Problem, problemResponse } from "@kedge/schema";
import type { HostPort } from "@kedge/schema/config/units";
import type { Fetch } from "./http/router.ts";

/** Longest wait for the headers, and for the whole request, in ms. */
const TIMEOUTS_MS = { headers: 10_000, request: 60_000 } as const;

/** A server that listens. */
export interface RunningServer {
  /** The port it listens on. */
  readonly port: number;
  /** Take no more connections and resolve when all are done. */
  close(): Promise<void>;
}

/** What HTTPS needs. */
export interface HttpsOptions extends HostPort {
  /** Certificate chain in PEM. */
  readonly cert: string;
  /** Its private key in PEM. */
  readonly key: string;
}

/**
 * Serve HTTPS.
 *
 * @param fetch Answers requests; bodies of answers are small.
 * @param options Where, and with which certificate.
 * @throws {Error} When the address or the certificate cannot be used.
 */
export async function serveHttps(
  fetch: Fetch,
  options: HttpsOptions,
): Promise<RunningServer> {
  const { cert, key, hostname, port } = options;
  const server = createServer({
    cert,
    key,
    minVersion: "TLSv1.2",
    headersTimeout: TIMEOUTS_MS.headers,
    requestTimeout: TIMEOUTS_MS.request,
  });
  const onRequest = (message: IncomingMessage, reply: ServerResponse) =>
    void answer(fetch, message, reply).catch(() => reply.destroy());
  server.on("request", onRequest);
  // A body is asked for only when a handler reads it: a redirected upload is
  // then never sent to us.
  server.on("checkContinue", onRequest);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, hostname, () => resolve());
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
  };
}

async function answer(
  fetch: Fetch,
  message: IncomingMessage,
  reply: ServerResponse,
): Promise<void> {
  const request = requestOf(message, reply);
  const response = request === undefined
    ? problemResponse(
      new Problem("invalid-request", "The Host or the path is not valid"),
    )
    : await fetch(request, {
      remoteAddr: {
        transport: "tcp",
        hostname: message.socket.remoteAddress ?? "",
        port: message.socket.remotePort ?? 0,
      },
    });
  const body = Buffer.from(await response.arrayBuffer());
  const headers = Object.fromEntries(response.headers);
  if (response.status !== 204) headers["content-length"] = `${body.length}`;
  // What was not read would be taken for the next request.
  if (!message.complete) headers["connection"] = "close";
  reply.writeHead(response.status, headers);
  reply.end(body);
}

function requestOf(
  message: IncomingMessage,
  reply: ServerResponse,
): Request | undefined {
  const { method = "GET", url = "/", headers } = message;
  const base = `https://${headers.host ?? "localhost"}`;
  if (!url.startsWith("/") || !URL.canParse(base + url)) return undefined;
  const hasBody = method !== "GET" && method !== "HEAD";
  try {
    return new Request(base + url, {
      method,
      headers: headersOf(message),
      body: hasBody ? bodyOf(message, reply) : null,
    });
  } catch {
    return undefined; // such as the method TRACE
  }
}

function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    headers.append(rawHeaders[at] ?? "", rawHeaders[at + 1] ?? "");
  }
  return headers;
}

/** The body; nothing is read, nor asked for, before somebody reads it. */
function bodyOf(
  message: IncomingMessage,
  reply: ServerResponse,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let chunks: AsyncIterator<Uint8Array> | undefined;
  return new ReadableStream({
    async pull(controller) {
      if (chunks === undefined) {
        if (message.headers.expect !== undefined) reply.writeContinue();
        chunks = message[Symbol.asyncIterator]();
      }
      const { value, done } = await chunks.next();
      if (done === true) controller.close();
      else controller.enqueue(new Uint8Array(value));
    },
  }, { highWaterMark: 0 });
}
