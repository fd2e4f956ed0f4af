/**
 * From a request's body to staged bytes: bounded, checked, nothing left behind.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import {
  INLINE_BODY_BYTES_MAX,
  JSON_BODY_BYTES_MAX,
  Problem,
} from "@kedge/schema";
import type { LocalFiles, Replicator } from "../../ports.ts";
import { invalid } from "./user_text.ts";
import type { BodyGuard, GuardedBody } from "./body_guard.ts";
import { announcedDigests, DigestCheck } from "./digests.ts";
import { FORM_OVERHEAD_BYTES_MAX, FormBody } from "./form_body.ts";
import { formBoundary } from "./multipart_parser.ts";
import type { PartHead } from "./part_head.ts";
import { Received } from "./received.ts";

/** Longest `Content-Type` that is looked at, in characters. */
const TYPE_LENGTH_MAX = 255;

/** What is known of a body before it arrives. */
export interface Incoming {
  readonly request: Request;
  /** Most bytes of the content. */
  readonly sizeBytesMax: number;
  /** Store path to use; the store's policy when missing. */
  readonly pathIndex?: number | undefined;
  /** Whether the bytes are for a change at level C. */
  readonly durable?: boolean | undefined;
}

/** Ports that receiving needs. */
export interface ReceiverDeps {
  readonly files: Pick<LocalFiles, "stage" | "discard">;
  readonly replicator: Pick<Replicator, "openRelay">;
  readonly guard: BodyGuard;
}

/** Takes bodies in. */
export class Receiver {
  readonly #deps: ReceiverDeps;

  /** Receive with these. */
  constructor(deps: ReceiverDeps) {
    this.#deps = deps;
  }

  /**
   * Take a body in.
   *
   * @returns Staged bytes, which vanish when they are not handed over.
   * @throws {Problem} `too-large`, `checksum-mismatch`, `incomplete-body`,
   * `request-timeout`, `too-many-requests`, and those of `LocalFiles.stage`.
   * Nothing is left then.
   */
  async receive(incoming: Incoming): Promise<Received> {
    const { request, sizeBytesMax } = incoming;
    const boundary = boundaryOf(request.headers.get("content-type"));
    const overheadBytes = boundary === undefined ? 0 : FORM_OVERHEAD_BYTES_MAX;
    const lengthBytes = contentLength(request.headers);
    if (
      lengthBytes !== undefined && lengthBytes > sizeBytesMax + overheadBytes
    ) {
      throw tooLarge(sizeBytesMax);
    }
    const check = new DigestCheck(announcedDigests(request.headers));
    const isShort = lengthBytes !== undefined &&
      lengthBytes <= INLINE_BODY_BYTES_MAX;
    using body = this.#deps.guard.open(request.body, isShort);
    try {
      if (boundary !== undefined) {
        const form = new FormBody(body, boundary, check);
        return await this.#receiveForm(form, check, incoming);
      }
      if (isShort) {
        const known = { ...incoming, lengthBytes };
        return await this.#receiveSmall(body, check, known);
      }
      const stream = streamOf(body, check);
      const received = await this.#stage(stream, incoming, lengthBytes);
      return await checked(received, check);
    } catch (error) {
      body.cancel();
      throw body.failure ?? error;
    }
  }

  /**
   * Take a small JSON body in.
   *
   * @throws {Problem} `too-large`, `invalid-request`, and those of a body that
   * breaks off or crawls.
   */
  async receiveJson(request: Request): Promise<unknown> {
    const lengthBytes = contentLength(request.headers) ?? 0;
    if (lengthBytes > JSON_BODY_BYTES_MAX) throw tooLarge(JSON_BODY_BYTES_MAX);
    using body = this.#deps.guard.open(request.body, true);
    const bytes = await readUpTo(body, JSON_BODY_BYTES_MAX);
    try {
      const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
      return JSON.parse(text);
    } catch {
      throw invalid("body", "is not JSON in UTF-8");
    }
  }

  async #receiveSmall(
    body: GuardedBody,
    check: DigestCheck,
    incoming: Incoming & { readonly lengthBytes: number },
  ): Promise<Received> {
    const bytes = await readAll(body, incoming.lengthBytes);
    if (check.isNeeded) {
      check.update(bytes);
      check.finish();
    }
    const staged = await this.#deps.files.stage({
      body: bytes,
      sizeBytesMax: incoming.sizeBytesMax,
      sizeBytes: bytes.length,
      pathIndex: incoming.pathIndex,
      durable: incoming.durable,
    });
    return new Received(this.#deps.files, staged);
  }

  async #receiveForm(
    form: FormBody,
    check: DigestCheck,
    incoming: Incoming,
  ): Promise<Received> {
    const fields = new Map<string, string>();
    let received: Received | undefined;
    try {
      let head: PartHead | undefined;
      for (;;) {
        const item = await form.next();
        if (item === undefined) break;
        if (item.kind === "field") {
          fields.set(item.name, item.value);
          continue;
        }
        head = item.head;
        received = await this.#stage(item.stream, incoming);
      }
      if (received === undefined) throw invalid("file", "is not in the form");
      check.finish();
      received.form = { fields, fileName: head?.fileName, type: head?.type };
      return received;
    } catch (error) {
      await received?.[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #stage(
    body: ReadableStream<Uint8Array>,
    { sizeBytesMax, pathIndex, durable }: Incoming,
    sizeBytes?: number,
  ): Promise<Received> {
    const { files, replicator } = this.#deps;
    // The store finishes the relay, or aborts it.
    const relay = replicator.openRelay();
    const staged = await files.stage(
      { body, sizeBytesMax, sizeBytes, pathIndex, durable, relay },
    );
    return new Received(files, staged);
  }
}

/** Bytes whose announced checksums hold; otherwise they vanish. */
async function checked(
  received: Received,
  check: DigestCheck,
): Promise<Received> {
  try {
    check.finish();
    return received;
  } catch (error) {
    await received[Symbol.asyncDispose]();
    throw error;
  }
}

/** The boundary of a form; `undefined` for a raw body. */
function boundaryOf(contentType: string | null): string | undefined {
  if (contentType === null || !/^multipart\//i.test(contentType)) {
    return undefined;
  }
  const boundary = contentType.length > TYPE_LENGTH_MAX
    ? undefined
    : formBoundary(contentType);
  if (boundary !== undefined) return boundary;
  throw new Problem(
    "unsupported-media-type",
    "Only multipart/form-data with a boundary is understood",
  );
}

/**
 * The announced length of a body.
 *
 * @returns Bytes; `undefined` for a chunked body.
 * @throws {Problem} `invalid-request` when it is no number.
 */
export function contentLength(headers: Headers): number | undefined {
  const text = headers.get("content-length");
  if (text === null) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw invalid("content-length", "is no number");
  return Number(text);
}

/** A refusal that names the limit. */
export function tooLarge(sizeBytesMax: number): Problem {
  return new Problem("too-large", `At most ${sizeBytesMax} bytes are allowed`, {
    sizeBytesMax,
  });
}

async function readAll(
  body: GuardedBody,
  lengthBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const first = await body.next();
  if (first?.length === lengthBytes && first.buffer instanceof ArrayBuffer) {
    // The usual case: the whole body came in one piece. The end is read too,
    // because only then is it known that the framing holds.
    if (await body.next() !== undefined) throw lengthMismatch();
    return new Uint8Array(first.buffer, first.byteOffset, first.length);
  }
  const bytes = new Uint8Array(lengthBytes);
  let at = 0;
  for (let chunk = first; chunk !== undefined; chunk = await body.next()) {
    if (at + chunk.length > lengthBytes) throw lengthMismatch();
    bytes.set(chunk, at);
    at += chunk.length;
  }
  if (at !== lengthBytes) throw lengthMismatch();
  return bytes;
}

async function readUpTo(
  body: GuardedBody,
  sizeBytesMax: number,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for (;;) {
    const chunk = await body.next();
    if (chunk === undefined) return Buffer.concat(chunks);
    sizeBytes += chunk.length;
    if (sizeBytes > sizeBytesMax) {
      body.cancel();
      throw tooLarge(sizeBytesMax);
    }
    chunks.push(chunk);
  }
}

function lengthMismatch(): Problem {
  return new Problem(
    "incomplete-body",
    "The body does not have the length that Content-Length announced",
  );
}

function streamOf(
  body: GuardedBody,
  check: DigestCheck,
): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      const bytes = await body.next();
      if (bytes === undefined) {
        controller.close();
        return;
      }
      check.update(bytes);
      controller.enqueue(bytes);
    },
    cancel() {
      body.cancel();
    },
  }, { highWaterMark: 0 });
}
