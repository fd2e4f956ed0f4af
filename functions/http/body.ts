/**
 * JSON bodies, bounded.
 *
 * @module
 */

import { JSON_BODY_BYTES_MAX, Problem } from "@kedge/schema";

/** Longest wait for a small body, in ms: nobody holds a request open. */
const BODY_MS_MAX = 10_000;

/**
 * Read a JSON body. Call it only after the caller is known.
 *
 * @param request Whose body was not read yet.
 * @param timeoutMs How long it may take, in ms.
 * @returns The parsed body; `{}` when there is none.
 * @throws {Problem} `too-large`, `invalid-request`, `request-timeout`
 */
export async function readJson(
  request: Request,
  timeoutMs: number = BODY_MS_MAX,
): Promise<unknown> {
  const text = await inTime(readText(request), timeoutMs);
  if (text === "") return {};
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Problem(
      "invalid-request",
      `The body is not JSON: ${error instanceof Error ? error.message : error}`,
      { part: "body", issues: [] },
    );
  }
}

/**
 * Take a small body off the connection although it is meant for an agent. What
 * is left unread closes the connection, and making a new one for each redirect
 * costs more than all the rest. Large bodies are left: then the client learns
 * soon that it can stop sending.
 */
export async function drainSmall(request: Request): Promise<void> {
  const length = Number(request.headers.get("content-length") ?? Infinity);
  if (length > JSON_BODY_BYTES_MAX) return;
  // It went away, or is slow: then the connection closes, which is no matter.
  await inTime(request.arrayBuffer(), BODY_MS_MAX).catch(() => {});
}

async function readText(request: Request): Promise<string> {
  const announced = request.headers.get("content-length");
  if (announced !== null && !(Number(announced) <= JSON_BODY_BYTES_MAX)) {
    throw tooLarge();
  }
  // The server holds a body to its announced length.
  if (announced !== null) return await request.text();
  if (request.body === null) return "";
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let lengthBytes = 0;
  for await (const chunk of request.body) {
    lengthBytes += chunk.length;
    if (lengthBytes > JSON_BODY_BYTES_MAX) throw tooLarge();
    chunks.push(chunk);
  }
  return await new Blob(chunks).text();
}

async function inTime<Value>(
  value: Promise<Value>,
  timeoutMs: number,
): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(tooSlow(timeoutMs)), timeoutMs);
  });
  try {
    return await Promise.race([value, late]);
  } finally {
    clearTimeout(timer);
  }
}

function tooSlow(timeoutMs: number): Problem {
  return new Problem(
    "request-timeout",
    `The body did not arrive within ${timeoutMs} ms`,
  );
}

function tooLarge(): Problem {
  return new Problem(
    "too-large",
    `A JSON body may have at most ${JSON_BODY_BYTES_MAX} bytes`,
    { bytesMax: JSON_BODY_BYTES_MAX },
  );
}
