/**
 * `GET` and `HEAD` of a file's content: the hot path of the agent.
 *
 * @module
 */

import { Problem } from "@kedge/schema";
import { isShown } from "@kedge/schema/content-types";
import {
  CONTENT_POLICY,
  EXPOSED_HEADERS,
  IMMUTABLE,
} from "@kedge/schema/download-headers";
import type { FileEntry } from "@kedge/schema/change";
import type { ByteSpan, LocalFiles, ReadRoom } from "../../ports.ts";
import {
  byteRangesBody,
  byteRangesLength,
  contentRange,
} from "./byteranges.ts";
import type { ByteRanges, SpanContent } from "./byteranges.ts";
import { httpDate, mayUseRange, verdictOf } from "./conditions.ts";
import type { Validators } from "./conditions.ts";
import { attachment } from "./content_disposition.ts";
import { contentType } from "./content_type.ts";
import type { Finder } from "./finder.ts";
import type { Caller } from "./link_gate.ts";
import { Outgoing } from "./outgoing.ts";
import { rangesOf } from "./ranges.ts";

const PRIVATE = "private, no-cache";
/** Serves contents. */
export class Downloads {
  readonly #files: LocalFiles;
  readonly #finder: Finder;
  readonly #outgoing: Outgoing;

  /** Serve what these find. */
  constructor(files: LocalFiles, finder: Finder) {
    this.#files = files;
    this.#finder = finder;
    this.#outgoing = new Outgoing({
      isLean: (entry, span) => files.isLean?.(entry, span) === true,
      read: (entry, span) => this.read(entry, span),
    });
  }

  /**
   * Answer a GET or HEAD.
   *
   * @param request With its conditional and range headers.
   * @param id The file, as in the path.
   * @param query Undecoded; `download` or `filename` is read from it.
   * @param terms What the link and the proxy in front change.
   * @throws {Problem} As {@linkcode Finder}, and `damaged`,
   * `precondition-failed`.
   */
  async serve(
    request: Request,
    id: string,
    query: string,
    terms: DownloadTerms = {},
  ): Promise<Response> {
    const found = this.#finder.findForRead(id);
    const entry = found instanceof Promise ? await found : found;
    const { headers: asked } = request;
    const validators = validatorsOf(entry);
    const verdict = verdictOf({
      ifMatch: asked.get("if-match"),
      ifNoneMatch: asked.get("if-none-match"),
      ifModifiedSince: asked.get("if-modified-since"),
      ifUnmodifiedSince: asked.get("if-unmodified-since"),
    }, validators);
    if (verdict === "failed") {
      throw new Problem("precondition-failed", "The file has another version", {
        etag: validators.etag,
      });
    }
    const headers = headersOf(entry, validators, { query, terms });
    if (verdict === "not-modified") {
      return new Response(null, { status: 304, headers });
    }
    if (terms.isProxied === true && mayHandOver(asked)) {
      if (this.#files.isPlain?.(entry) === true) {
        return handedOver(id, headers);
      }
    }
    if (request.method === "HEAD") {
      headers.push(["content-length", String(entry.sizeBytes)]);
      return new Response(null, { headers });
    }
    const range = asked.get("range");
    if (range !== null && mayUseRange(asked.get("if-range"), validators)) {
      return await this.#serveRange(entry, range, { headers, terms });
    }
    return await this.#serveWhole(entry, { headers, terms });
  }

  async #serveWhole(
    entry: FileEntry,
    { headers, terms }: Answering,
  ): Promise<Response> {
    const whole = { from: 0, lengthBytes: entry.sizeBytes };
    const read = this.#outgoing.begin(entry, [whole], terms.caller);
    const content = await read(whole);
    headers.push(["content-length", String(entry.sizeBytes)]);
    return new Response(content, { headers });
  }

  async #serveRange(
    entry: FileEntry,
    range: string,
    answering: Answering,
  ): Promise<Response> {
    const { sizeBytes } = entry;
    const answer = rangesOf(range, sizeBytes);
    if (answer.kind === "whole") {
      return await this.#serveWhole(entry, answering);
    }
    if (answer.kind === "refused") {
      throw new Problem(
        "range-not-satisfiable",
        `The range cannot be sent: ${answer.why}`,
        { sizeBytes },
      );
    }
    const [first, ...more] = answer.spans;
    if (first === undefined) return await this.#serveWhole(entry, answering);
    const { headers, terms } = answering;
    const read = this.#outgoing.begin(entry, answer.spans, terms.caller);
    const content = await read(first);
    if (more.length > 0) {
      return this.#sendRanges(entry, answer.spans, { headers, content, read });
    }
    headers.push(["content-range", contentRange(first, sizeBytes)]);
    headers.push(["content-length", String(first.lengthBytes)]);
    return new Response(content, { status: 206, headers });
  }

  #sendRanges(
    entry: FileEntry,
    spans: readonly ByteSpan[],
    { headers, content, read }: {
      readonly headers: Pairs;
      readonly content: SpanContent;
      readonly read: (span: ByteSpan) => Promise<SpanContent>;
    },
  ): Response {
    const ranges: ByteRanges = {
      boundary: `kedge-${crypto.randomUUID()}`,
      type: contentType(entry),
      sizeBytes: entry.sizeBytes,
      spans,
    };
    const type = `multipart/byteranges; boundary=${ranges.boundary}`;
    const others = headers.filter(([name]) => name !== "content-type");
    others.push(["content-type", type]);
    others.push(["content-length", String(byteRangesLength(ranges))]);
    const body = byteRangesBody(ranges, content, read);
    return new Response(body, { status: 206, headers: others });
  }

  /**
   * Read, and once more from a repaired copy when ours is damaged. What is here
   * is there at once; an error is never thrown at once.
   */
  read(
    entry: FileEntry,
    span?: ByteSpan,
    room?: ReadRoom,
  ): SpanContent | Promise<SpanContent> {
    const again = (error: unknown) =>
      this.#repaired(error, entry, [span, room]);
    try {
      const content = this.#files.read(entry, span, room);
      return content instanceof Promise ? content.catch(again) : content;
    } catch (error) {
      return again(error);
    }
  }

  async #repaired(
    error: unknown,
    entry: FileEntry,
    [span, room]: readonly [ByteSpan | undefined, ReadRoom | undefined],
  ): Promise<SpanContent> {
    if (!(error instanceof Problem) || error.slug !== "damaged") throw error;
    const repaired = await this.#finder.repair(entry.id);
    if (validatorsOf(repaired).etag !== validatorsOf(entry).etag) {
      throw new Problem(
        "unavailable",
        "The file changed while it was repaired",
      );
    }
    return await this.#files.read(repaired, span, room);
  }
}

/** What a link and a proxy in front change of an answer. */
export interface DownloadTerms {
  /** Seconds for which the client alone may keep it; `undefined`: for ever. */
  readonly keepS?: number | undefined;
  /** Whether a proxy that we trust sends files itself. */
  readonly isProxied?: boolean | undefined;
  /** Who takes the answer, if that is known. */
  readonly caller?: Caller;
}

/** What an answer is made of besides its content. */
interface Answering {
  readonly headers: Pairs;
  readonly terms: DownloadTerms;
}

/** nginx knows our entity tag too late for these. */
function mayHandOver(asked: Headers): boolean {
  return !asked.has("if-match") && !asked.has("if-unmodified-since");
}

/** nginx adds what it says of ranges itself. */
function handedOver(id: string, headers: Pairs): Response {
  const kept = headers.filter(([name]) => name !== "accept-ranges");
  kept.push(["x-accel-redirect", `/.kedge/${id}`]);
  return new Response(null, { headers: kept });
}

type Pairs = [string, string][];

/**
 * What a file is compared by. Immutable files have the hash of their content; a
 * file that may change has its version, and no date, because its creation says
 * nothing about its last change.
 */
export function validatorsOf(entry: FileEntry): Validators {
  if (entry.sha256 !== null && !entry.appender) {
    const { sha256, createdS: modifiedS, sizeBytes } = entry;
    const nginx = `"${modifiedS.toString(16)}-${sizeBytes.toString(16)}"`;
    return { etag: `"${sha256}"`, alias: nginx, modifiedS };
  }
  const crc = entry.crc32.toString(16).padStart(8, "0");
  const etag = `"${entry.epoch}-${entry.version}-${crc}"`;
  return { etag, modifiedS: entry.appender ? undefined : entry.createdS };
}

function headersOf(
  entry: FileEntry,
  { etag, modifiedS }: Validators,
  { query, terms }: { readonly query: string; readonly terms: DownloadTerms },
): Pairs {
  const type = contentType(entry);
  const headers: Pairs = [
    ["content-type", type],
    ["etag", etag],
    ["accept-ranges", "bytes"],
    ["cache-control", cacheControl(entry, terms)],
    ["x-content-type-options", "nosniff"],
    ["content-security-policy", CONTENT_POLICY],
    ["access-control-allow-origin", "*"],
    ["access-control-expose-headers", EXPOSED_HEADERS],
  ];
  if (modifiedS !== undefined) {
    headers.push(["last-modified", httpDate(modifiedS)]);
  }
  const wanted = query === "" ? null : nameWanted(query);
  if (wanted !== null || !isShown(type)) {
    headers.push(["content-disposition", attachment(wanted || nameOf(entry))]);
  }
  return headers;
}

/** A link ends one day: nobody but its holder may keep what it showed. */
function cacheControl(entry: FileEntry, { keepS }: DownloadTerms): string {
  if (entry.appender) return keepS === undefined ? "no-cache" : PRIVATE;
  return keepS === undefined ? IMMUTABLE : `private, max-age=${keepS}`;
}

/** `filename` is what FastDFS's nginx module calls it. */
function nameWanted(query: string): string | null {
  const parameters = new URLSearchParams(query);
  return parameters.get("download") ?? parameters.get("filename");
}

function nameOf(entry: FileEntry): string {
  return entry.name ?? entry.id.slice(entry.id.lastIndexOf("/") + 1);
}
