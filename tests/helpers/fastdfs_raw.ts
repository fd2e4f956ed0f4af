/**
 * A FastDFS client of our own, that says exactly the bytes it is told to. Written
 * from the description of the protocol, without our codecs: it judges them.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { within } from "./eventually.ts";

/** An answer. */
export interface RawAnswer {
  readonly status: number;
  readonly body: Buffer;
}

/** Longest answer that is taken, in bytes. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/** A connection. */
export class RawFastdfs implements Disposable {
  readonly #conn: Deno.TcpConn;

  private constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  /** Connect to a tracker or a storage. */
  static async connect(
    address: { readonly hostname: string; readonly port: number },
  ): Promise<RawFastdfs> {
    const { hostname, port } = address;
    return new RawFastdfs(await Deno.connect({ hostname, port }));
  }

  /** One request and its answer. */
  async call(
    command: number,
    body: Uint8Array = Buffer.alloc(0),
    status = 0,
  ): Promise<RawAnswer> {
    await this.send(Buffer.concat([head(body.length, command, status), body]));
    return await this.answer();
  }

  /** Send bytes as they are. */
  async send(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      at += await this.#conn.write(bytes.subarray(at));
    }
  }

  /** Read an answer. */
  async answer(): Promise<RawAnswer> {
    const header = await this.read(10);
    if (header[8] !== 100) {
      throw new Error(`no answer: ${header.toString("hex")}`);
    }
    const length = Number(header.readBigInt64BE(0));
    if (length < 0 || length > ANSWER_BYTES_MAX) {
      throw new Error(`an answer of ${length} bytes`);
    }
    return { status: header[9] ?? 0, body: await this.read(length) };
  }

  /** Read exactly so many bytes. */
  async read(length: number): Promise<Buffer> {
    const bytes = Buffer.alloc(length);
    for (let at = 0; at < length;) {
      const count = await within(this.#conn.read(bytes.subarray(at)), {
        what: "bytes of an answer",
      });
      if (count === null) throw new Error(`closed after ${at} bytes`);
      at += count;
    }
    return bytes;
  }

  /** Whether the other side ends the connection now, without a word. */
  async isEnded(deadlineMs = 10_000): Promise<boolean> {
    try {
      const reading = this.#conn.read(Buffer.alloc(1));
      const what = "the end of the connection";
      return await within(reading, { what, deadlineMs }) === null;
    } catch (error) {
      return error instanceof Deno.errors.ConnectionReset;
    }
  }

  /** Hang up. */
  [Symbol.dispose](): void {
    try {
      this.#conn.close();
    } catch {
      // It was closed.
    }
  }
}

/** A header. */
export function head(length: number, command: number, status = 0): Buffer {
  return Buffer.concat([u64(length), Buffer.from([command, status])]);
}

/** A 64-bit number. */
export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
}

/** A text in a field of so many bytes. */
export function field(text: string, width: number): Buffer {
  const bytes = Buffer.alloc(width);
  bytes.write(text, "latin1");
  return bytes;
}

/** `group[16]` and a name, of a whole file ID. */
export function named(id: string): Buffer {
  const slash = id.indexOf("/");
  return Buffer.concat([
    field(id.slice(0, slash), 16),
    Buffer.from(id.slice(slash + 1)),
  ]);
}

/** The name of a file ID without its group. */
export function nameOf(id: string): Buffer {
  return Buffer.from(id.slice(id.indexOf("/") + 1));
}

/** The file ID in the answer of an upload. */
export function idIn(body: Buffer): string {
  const group = body.subarray(0, 16).toString("latin1").replace(/\0.*$/s, "");
  return `${group}/${body.subarray(16).toString("latin1")}`;
}

/** Body of an upload. */
export function uploadBody(
  content: Uint8Array,
  { ext = "bin", path = 255 } = {},
): Buffer {
  return Buffer.concat([
    Buffer.from([path]),
    u64(content.length),
    field(ext, 6),
    content,
  ]);
}

/** Body of a download. */
export function downloadBody(id: string, offset = 0, length = 0): Buffer {
  return Buffer.concat([u64(offset), u64(length), named(id)]);
}
