/**
 * `multipart/form-data` as a state machine: bytes in, parts out (RFC 7578, RFC
 * 2046). Nothing is buffered but a possible piece of a boundary and the headers
 * of one part, both bounded.
 *
 * ```text
 * preamble ─boundary▶ line ─CRLF▶ headers ─empty line▶ body ─boundary▶ line …
 *                       └──"--"──▶ epilogue
 * ```
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { Problem } from "@kedge/schema";
import { parsePartHead } from "./part_head.ts";
import type { PartHead } from "./part_head.ts";

/** What the parser found, in order. */
export type FormEvent =
  | { readonly kind: "part"; readonly head: PartHead }
  /** Content of the part; never empty. */
  | { readonly kind: "data"; readonly bytes: Uint8Array }
  | { readonly kind: "part-end" }
  /** The closing boundary: the form is complete. */
  | { readonly kind: "end" };

/** Most bytes of one part's headers. */
export const PART_HEAD_BYTES_MAX: number = 8 * 1024;
/** Most parts of a form. */
export const FORM_PARTS_MAX = 32;
/** Most bytes before the first and after the last boundary, each. */
export const FORM_MARGIN_BYTES_MAX: number = 4 * 1024;
/** Most blanks between a boundary and its line end. */
const PADDING_BYTES_MAX = 64;

const BOUNDARY = /^[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]$/;
const CRLF = Buffer.from("\r\n");
const HEAD_END = Buffer.from("\r\n\r\n");
const DASH = 0x2d;

type State = "preamble" | "line" | "headers" | "body" | "epilogue";

/**
 * The boundary of a form.
 *
 * @param contentType The `Content-Type` header.
 * @returns `undefined` when it is no `multipart/form-data` with a boundary.
 */
export function formBoundary(contentType: string): string | undefined {
  const match =
    /^multipart\/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]*)"|([^\s;"]+))\s*(?:;|$)/i
      .exec(contentType);
  const boundary = match?.[1] ?? match?.[2] ?? "";
  return BOUNDARY.test(boundary) ? boundary : undefined;
}

/** Reads one form. */
export class MultipartParser {
  readonly #delimiter: Buffer;
  #state: State = "preamble";
  /** The first boundary may stand at the very start: as if after a line end. */
  #rest: Buffer = CRLF;
  #parts = 0;
  #marginBytes = 0;

  /**
   * Start.
   *
   * @param boundary From {@linkcode formBoundary}.
   */
  constructor(boundary: string) {
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, "latin1");
  }

  /**
   * Take the next bytes.
   *
   * @param chunk Any length; it is not kept.
   * @returns What is known now. Bytes of `data` belong to the caller.
   * @throws {Problem} `invalid-request` when it is no form within the limits.
   */
  push(chunk: Uint8Array): FormEvent[] {
    const events: FormEvent[] = [];
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#step(events));
    return events;
  }

  /**
   * There are no more bytes.
   *
   * @throws {Problem} `incomplete-body` before the closing boundary.
   */
  finish(): void {
    if (this.#state === "epilogue") return;
    throw new Problem(
      "incomplete-body",
      "The form ends before its closing boundary",
    );
  }

  /** One step; whether another one may be possible. */
  #step(events: FormEvent[]): boolean {
    switch (this.#state) {
      case "preamble":
        return this.#skipPreamble();
      case "line":
        return this.#readLine(events);
      case "headers":
        return this.#readHead(events);
      case "body":
        return this.#readBody(events);
      case "epilogue":
        this.#countMargin(this.#rest.length);
        this.#rest = Buffer.alloc(0);
        return false;
      default:
        return this.#state satisfies never;
    }
  }

  #skipPreamble(): boolean {
    const at = this.#rest.indexOf(this.#delimiter);
    const skipped = at < 0 ? this.#sureBytes() : at;
    this.#countMargin(skipped);
    if (at < 0) {
      this.#rest = this.#rest.subarray(skipped);
      return false;
    }
    this.#enterLine(at);
    return true;
  }

  /** After a boundary: `--`, or blanks and a line end. */
  #readLine(events: FormEvent[]): boolean {
    const rest = this.#rest;
    if (rest.length < 2) return false;
    if (rest[0] === DASH && rest[1] === DASH) {
      this.#rest = rest.subarray(2);
      this.#state = "epilogue";
      this.#marginBytes = 0;
      events.push({ kind: "end" });
      return true;
    }
    const end = rest.indexOf(CRLF);
    const padding = rest.subarray(0, end < 0 ? rest.length : end);
    if (padding.length > PADDING_BYTES_MAX || !isBlank(padding)) {
      throw malformed("a boundary is followed by other text");
    }
    if (end < 0) return false;
    if (++this.#parts > FORM_PARTS_MAX) {
      throw malformed(`it has more than ${FORM_PARTS_MAX} parts`);
    }
    // The line end stays: with it, a part without headers ends like any other.
    this.#rest = rest.subarray(end);
    this.#state = "headers";
    return true;
  }

  #readHead(events: FormEvent[]): boolean {
    const end = this.#rest.indexOf(HEAD_END);
    const length = end < 0 ? this.#rest.length : end;
    if (length > PART_HEAD_BYTES_MAX) {
      throw malformed(`a part has headers over ${PART_HEAD_BYTES_MAX} bytes`);
    }
    if (end < 0) return false;
    const head = parsePartHead(this.#rest.subarray(CRLF.length, end));
    events.push({ kind: "part", head });
    // The line end stays: an empty part has its boundary right here.
    this.#rest = this.#rest.subarray(end + CRLF.length);
    this.#state = "body";
    this.#skip = CRLF.length;
    return true;
  }

  /** Bytes at the start of the body that belong to the head. */
  #skip = 0;

  #readBody(events: FormEvent[]): boolean {
    const at = this.#rest.indexOf(this.#delimiter);
    const end = at < 0 ? this.#sureBytes() : at;
    const skip = Math.min(this.#skip, end);
    if (end > skip) {
      events.push({ kind: "data", bytes: this.#rest.subarray(skip, end) });
    }
    this.#skip -= skip;
    if (at < 0) {
      this.#rest = this.#rest.subarray(end);
      return false;
    }
    this.#skip = 0;
    events.push({ kind: "part-end" });
    this.#enterLine(at);
    return true;
  }

  #enterLine(at: number): void {
    this.#rest = this.#rest.subarray(at + this.#delimiter.length);
    this.#state = "line";
  }

  /** Bytes that cannot be the beginning of a boundary. */
  #sureBytes(): number {
    return Math.max(0, this.#rest.length - this.#delimiter.length + 1);
  }

  #countMargin(bytes: number): void {
    this.#marginBytes += bytes;
    if (this.#marginBytes <= FORM_MARGIN_BYTES_MAX) return;
    throw malformed("there is too much text outside its parts");
  }
}

function isBlank(bytes: Uint8Array): boolean {
  // A lone CR may be the first half of the line end.
  return bytes.every((byte, at) =>
    byte === 0x20 || byte === 0x09 ||
    (byte === 0x0d && at === bytes.length - 1)
  );
}

function malformed(why: string): Problem {
  return new Problem("invalid-request", `The form cannot be read: ${why}`, {
    issues: [{ path: "body", message: why }],
  });
}
