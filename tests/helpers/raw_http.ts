/**
 * A small HTTP/1.1 client on a raw TCP connection: for load (requests are made
 * beforehand, of an answer only status and length are looked at) and for
 * requests that no well-behaved client would send.
 *
 * @module
 */

/** What came back. */
export interface RawAnswer {
  /** Status code. */
  readonly status: number;
  /** Status line and headers, as sent. */
  readonly head: string;
  /** The body, empty when it was not wanted. */
  readonly body: Uint8Array<ArrayBuffer>;
  /** Length of the body, in bytes, wanted or not. */
  readonly bodyBytes: number;
}

/** The connection ended before the answer did. */
export class Disconnected extends Error {}

const CR_LF_CR_LF = [13, 10, 13, 10] as const;
const HEAD_BYTES_MAX = 64 * 1024;
const latin1 = new TextDecoder("latin1");
const encoder = new TextEncoder();

/** One keep-alive connection; one request at a time. */
export class RawHttp implements Disposable {
  readonly #conn: Deno.Conn;
  /** Received but not used: `#buffer[#from..#to]`. */
  #buffer = new Uint8Array(HEAD_BYTES_MAX);
  #from = 0;
  #to = 0;

  private constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  /**
   * Connect.
   *
   * @param base URL whose host and port are used; `https` connects with TLS.
   * @param caCerts Certificates to trust besides the usual, in PEM.
   */
  static async open(base: string, caCerts: string[] = []): Promise<RawHttp> {
    const { hostname, port, protocol } = new URL(base);
    const secure = protocol === "https:";
    const where = { hostname, port: Number(port) || (secure ? 443 : 80) };
    if (secure) {
      return new RawHttp(await Deno.connectTls({ ...where, caCerts }));
    }
    const conn = await Deno.connect(where);
    conn.setNoDelay(true);
    return new RawHttp(conn);
  }

  /** Send bytes as they are. */
  async send(bytes: Uint8Array | string): Promise<void> {
    let rest = typeof bytes === "string" ? encoder.encode(bytes) : bytes;
    while (rest.length > 0) {
      rest = rest.subarray(await this.#conn.write(rest));
    }
  }

  /**
   * Send a request and read its answer.
   *
   * @param request Whole request, head and body.
   * @param want Whether to keep the body; `head` expects none.
   */
  async ask(
    request: Uint8Array | string,
    want: "body" | "length" | "head" = "length",
  ): Promise<RawAnswer> {
    await this.send(request);
    return await this.answer(want);
  }

  /** Read an answer. */
  async answer(
    want: "body" | "length" | "head" = "length",
  ): Promise<RawAnswer> {
    const head = await this.#head();
    const status = Number(head.slice(9, 12));
    if (status === 100) return await this.answer(want);
    const none = want === "head" || status === 204 || status === 304;
    const bodyBytes = none ? 0 : lengthIn(head);
    const body = await this.#body(bodyBytes, want === "body");
    return { status, head, body, bodyBytes };
  }

  /** Bytes until the other side closes; for refusals that end a connection. */
  async untilClosed(): Promise<string> {
    let text = latin1.decode(this.#buffer.subarray(this.#from, this.#to));
    this.#from = this.#to;
    try {
      while (text.length < HEAD_BYTES_MAX) {
        const got = await this.#conn.read(this.#buffer);
        if (got === null) break;
        text += latin1.decode(this.#buffer.subarray(0, got));
      }
    } catch {
      // A reset is an end, too.
    }
    return text;
  }

  /** As {@linkcode untilClosed}, or what came within `ms` milliseconds. */
  async untilClosedOr(ms: number): Promise<string> {
    const timer = setTimeout(() => this.close(), ms);
    try {
      return await this.untilClosed();
    } finally {
      clearTimeout(timer);
    }
  }

  /** Say that no more will be sent. */
  async closeWrite(): Promise<void> {
    await this.#conn.closeWrite();
  }

  /** Close. */
  close(): void {
    try {
      this.#conn.close();
    } catch {
      // It is closed.
    }
  }

  /** Close. */
  [Symbol.dispose](): void {
    this.close();
  }

  async #head(): Promise<string> {
    if (this.#from === this.#to) await this.#fill();
    let searched = this.#from;
    while (true) {
      const end = endOfHead(this.#buffer, searched, this.#to);
      if (end >= 0) {
        const head = latin1.decode(this.#buffer.subarray(this.#from, end));
        this.#from = end;
        return head;
      }
      searched = Math.max(this.#from, this.#to - 3);
      if (this.#from > 0 && this.#to === this.#buffer.length) {
        this.#buffer.copyWithin(0, this.#from, this.#to);
        searched -= this.#from;
        this.#to -= this.#from;
        this.#from = 0;
      }
      if (this.#to === this.#buffer.length) throw new Error("head too long");
      await this.#fill();
    }
  }

  async #body(
    length: number,
    keep: boolean,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const body = new Uint8Array(keep ? length : 0);
    let done = 0;
    while (done < length) {
      if (this.#from === this.#to) await this.#fill();
      const take = Math.min(this.#to - this.#from, length - done);
      if (keep) {
        body.set(this.#buffer.subarray(this.#from, this.#from + take), done);
      }
      this.#from += take;
      done += take;
    }
    return body;
  }

  async #fill(): Promise<void> {
    if (this.#from === this.#to) {
      this.#from = 0;
      this.#to = 0;
    }
    const got = await this.#conn.read(this.#buffer.subarray(this.#to));
    if (got === null) throw new Disconnected("closed by the other side");
    this.#to += got;
  }
}

/** What a request says, besides its method and path. */
export interface RequestParts {
  readonly host: string;
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array;
}

/**
 * Make a request beforehand.
 *
 * @param method HTTP method.
 * @param path Path and query.
 * @param parts Host, headers, body; `content-length` is added for a body.
 * @returns Its bytes.
 */
export function requestBytes(
  method: string,
  path: string,
  parts: RequestParts,
): Uint8Array<ArrayBuffer> {
  const { host, headers = {}, body } = parts;
  const lines = [`${method} ${path} HTTP/1.1`, `host: ${host}`];
  for (const [name, value] of Object.entries(headers)) {
    lines.push(`${name}: ${value}`);
  }
  if (body !== undefined) lines.push(`content-length: ${body.length}`);
  const head = encoder.encode(`${lines.join("\r\n")}\r\n\r\n`);
  const bytes = new Uint8Array(head.length + (body?.length ?? 0));
  bytes.set(head);
  if (body !== undefined) bytes.set(body, head.length);
  return bytes;
}

/** A header of an answer, or `undefined`. */
export function headerIn(head: string, name: string): string | undefined {
  return new RegExp(`^${name}:[ \t]*(.*?)[ \t]*\r$`, "im").exec(head)?.[1];
}

function endOfHead(buffer: Uint8Array, from: number, to: number): number {
  let at = buffer.indexOf(13, from);
  while (at >= 0 && at + 3 < to) {
    if (CR_LF_CR_LF.every((byte, i) => buffer[at + i] === byte)) return at + 4;
    at = buffer.indexOf(13, at + 1);
  }
  return -1;
}

function lengthIn(head: string): number {
  const length = headerIn(head, "content-length");
  if (length !== undefined) return Number(length);
  throw new Error(`answer without content-length:\n${head}`);
}
