/**
 * JSON bodies, bounded.
 *
 * @module
 */

import { JSON_BODY_BYTES_MAX, Problem } from "@kedge/schema";

/**
 * Read a JSON body. Call it only after the caller is known.
 *
 * @param request Whose body was not read yet.
 * @returns The parsed body; `{}` when there is none.
 * @throws {Problem} `too-large`, `invalid-request`
 */
export async function readJson(request: Request): Promise<unknown> {
  const text = await readText(request);
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
  await request.arrayBuffer().catch(() => {}); // it went away: no matter
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

function tooLarge(): Problem {
  return new Problem(
    "too-large",
    `A JSON body may have at most ${JSON_BODY_BYTES_MAX} bytes`,
    { bytesMax: JSON_BODY_BYTES_MAX },
  );
}
