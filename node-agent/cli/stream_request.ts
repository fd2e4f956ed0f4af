/**
 * A request with a streamed body of known length.
 *
 * `fetch` sends every stream in chunks, without Content-Length, so a server
 * could refuse a file for its size only after taking it. node:http sends the
 * length. Not used for anything else: it is slower.
 *
 * @module
 */

import { type IncomingMessage, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { StreamRequest } from "./context.ts";
import { noAnswer } from "./errors.ts";

/** Longest answer that is read, in bytes: a JSON object. */
const ANSWER_BYTES_MAX = 1024 * 1024;

/**
 * Send it and read the whole answer.
 *
 * @param request What to send. The body is read once, with back-pressure.
 * @param caPem More authorities to trust.
 * @param signal Aborts the request.
 * @returns The answer; an early refusal is returned although the body was not
 * sent completely.
 * @throws {TypeError} When the connection fails, as `fetch` does.
 */
export async function streamRequest(
  request: StreamRequest,
  caPem: string | undefined,
  signal: AbortSignal,
): Promise<Response> {
  const url = new URL(request.url);
  const open = url.protocol === "https:" ? httpsRequest : httpRequest;
  const outgoing = open(url, {
    method: request.method,
    signal,
    headers: {
      ...request.headers,
      ...(request.sizeBytes === undefined
        ? {}
        : { "content-length": String(request.sizeBytes) }),
    },
    ...(caPem === undefined ? {} : { ca: caPem }),
  });
  const answered = Promise.withResolvers<IncomingMessage>();
  outgoing.once("response", answered.resolve);
  outgoing.once("error", answered.reject);
  const source = Readable.from(request.body, { objectMode: false });
  // A refusal may come before the body was taken; then the answer counts and
  // not the broken pipe.
  const sent = pipeline(source, outgoing).catch(() => {});
  try {
    const incoming = await answered.promise;
    const body = await readAll(incoming);
    outgoing.destroy();
    await sent;
    return new Response(body, {
      status: incoming.statusCode ?? 500,
      headers: headersOf(incoming),
    });
  } catch (error) {
    outgoing.destroy();
    await sent;
    signal.throwIfAborted();
    throw noAnswer(request.url, error);
  }
}

async function readAll(
  incoming: IncomingMessage,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of incoming) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > ANSWER_BYTES_MAX) throw new Error("the answer is too long");
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

function headersOf(incoming: IncomingMessage): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) {
    for (const one of [value ?? []].flat()) headers.append(name, one);
  }
  return headers;
}
