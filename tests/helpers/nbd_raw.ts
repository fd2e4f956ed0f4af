/**
 * An NBD client that says exactly what a test tells it to, right or wrong.
 *
 * It shares no code with the server: every number is written down here again,
 * from the protocol document.
 *
 * @module
 */

import { within } from "./eventually.ts";

/** Longest wait for bytes that must come, in milliseconds. */
const DEADLINE_MS = 10_000;

/** Bytes in order: numbers are single bytes, texts are UTF-8. */
export type Part = Uint8Array | string;

/** An answer to an option. */
export interface OptionReply {
  readonly option: number;
  readonly type: number;
  readonly data: Uint8Array;
}

/** A request; what is missing is zero. */
export interface RawRequest {
  readonly type: number;
  readonly flags?: number;
  readonly cookie?: bigint;
  readonly offset?: bigint | number;
  readonly length?: number;
  readonly data?: Uint8Array;
}

/** A simple reply's header. */
export interface SimpleReply {
  readonly error: number;
  readonly cookie: bigint;
}

/** A structured chunk. */
export interface Chunk {
  readonly isDone: boolean;
  readonly type: number;
  readonly cookie: bigint;
  readonly payload: Uint8Array;
}

/** A connection to a server under test. */
export class RawNbd implements Disposable {
  readonly #conn: Deno.Conn;
  #buffer = new Uint8Array(0);
  #isClosed = false;

  private constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  /** Connect, without a word. */
  static async connect(addr: Deno.Addr): Promise<RawNbd> {
    if (addr.transport === "unix") {
      const { path } = addr as Deno.UnixAddr;
      return new RawNbd(await Deno.connect({ transport: "unix", path }));
    }
    const { hostname, port } = addr as Deno.NetAddr;
    const conn = await Deno.connect({ hostname, port });
    conn.setNoDelay(true);
    return new RawNbd(conn);
  }

  /** Connect, take the greeting and send client flags (3 is everything). */
  static async greet(addr: Deno.Addr, flags = 3): Promise<RawNbd> {
    const client = await RawNbd.connect(addr);
    await client.take(18);
    await client.send(u32(flags));
    return client;
  }

  /** Send bytes. */
  async send(...parts: readonly Part[]): Promise<void> {
    const bytes = joined(parts);
    for (let at = 0; at < bytes.length;) {
      at += await this.#conn.write(bytes.subarray(at));
    }
  }

  /** Exactly so many bytes. */
  async take(length: number): Promise<Uint8Array<ArrayBuffer>> {
    const pieces: Uint8Array[] = [this.#buffer];
    let have = this.#buffer.length;
    while (have < length) {
      const piece = await within(this.#some(), {
        what: `${length} bytes, ${have} have come`,
        deadlineMs: DEADLINE_MS,
      });
      if (piece === undefined) {
        throw new Error(`the server closed after ${have} of ${length} bytes`);
      }
      pieces.push(piece);
      have += piece.length;
    }
    const all = joined(pieces);
    this.#buffer = all.slice(length);
    return all.slice(0, length);
  }

  /** Whether the server closes, without another byte. */
  async isClosedByServer(): Promise<boolean> {
    if (this.#buffer.length > 0) return false;
    const what = "the server to close";
    const piece = await within(this.#some(), { what, deadlineMs: DEADLINE_MS });
    return piece === undefined;
  }

  /** Send an option. */
  option(number: number, ...data: readonly Part[]): Promise<void> {
    return this.send(optionBytes(number, ...data));
  }

  /** One reply to an option. */
  async reply(): Promise<OptionReply> {
    const head = view(await this.take(20));
    if (head.getBigUint64(0) !== 0x0003e889045565a9n) {
      throw new Error("not the magic of an option reply");
    }
    const data = await this.take(head.getUint32(16));
    return { option: head.getUint32(8), type: head.getUint32(12), data };
  }

  /** All replies to an option, up to ACK or an error. */
  async replies(): Promise<OptionReply[]> {
    const all: OptionReply[] = [];
    for (;;) {
      const reply = await this.reply();
      all.push(reply);
      if (reply.type === 1 || reply.type >= 0x80000000) return all;
    }
  }

  /** Agree on structured replies. */
  async agreeStructured(): Promise<void> {
    await this.option(8);
    const { type } = await this.reply();
    if (type !== 1) throw new Error(`structured replies refused: ${type}`);
  }

  /** Choose base:allocation; answers its id. */
  async chooseAllocation(name: string): Promise<number> {
    await this.option(
      10,
      ...[u32(name.length), name, u32(1), u32(15), "base:allocation"],
    );
    const [context] = await this.replies();
    if (context?.type !== 4) throw new Error("no context");
    return view(context.data).getUint32(0);
  }

  /** Enter transmission; answers the export's size and flags. */
  async go(name: string): Promise<{ size: bigint; flags: number }> {
    await this.option(7, u32(name.length), name, u16(0));
    const replies = await this.replies();
    const [first] = replies;
    if (first?.type !== 3 || replies.at(-1)?.type !== 1) {
      throw new Error(`GO answered ${replies.map((each) => each.type)}`);
    }
    const info = view(first.data);
    return { size: info.getBigUint64(2), flags: info.getUint16(10) };
  }

  /** Send a request. */
  request(request: RawRequest): Promise<void> {
    return this.send(requestBytes(request));
  }

  /** A simple reply's header. */
  async simple(): Promise<SimpleReply> {
    const head = view(await this.take(16));
    if (head.getUint32(0) !== 0x67446698) {
      throw new Error(`magic ${head.getUint32(0).toString(16)}`);
    }
    return { error: head.getUint32(4), cookie: head.getBigUint64(8) };
  }

  /** A chunk of a structured reply. */
  async chunk(): Promise<Chunk> {
    const head = view(await this.take(20));
    if (head.getUint32(0) !== 0x668e33ef) {
      throw new Error(`magic ${head.getUint32(0).toString(16)}`);
    }
    const payload = await this.take(head.getUint32(16));
    return {
      isDone: (head.getUint16(4) & 1) === 1,
      type: head.getUint16(6),
      cookie: head.getBigUint64(8),
      payload,
    };
  }

  /** Ask and take the error of the simple reply. */
  async errorOf(request: RawRequest): Promise<number> {
    await this.request(request);
    return (await this.simple()).error;
  }

  /** Read by a simple reply. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    const error = await this.errorOf({ type: 0, offset, length });
    if (error !== 0) throw new Error(`READ failed with ${error}`);
    return await this.take(length);
  }

  /** Say nothing more, but listen on. */
  endOfSpeech(): Promise<void> {
    return this.#conn.closeWrite();
  }

  /** Hang up. */
  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#conn.close();
  }

  async #some(): Promise<Uint8Array | undefined> {
    const piece = new Uint8Array(65_536);
    try {
      const count = await this.#conn.read(piece);
      return count === null ? undefined : piece.subarray(0, count);
    } catch {
      return undefined; // reset is closed, too
    }
  }
}

/** An option as it goes on the wire. */
export function optionBytes(
  number: number,
  ...data: readonly Part[]
): Uint8Array<ArrayBuffer> {
  const content = joined(data);
  return joined(["IHAVEOPT", u32(number), u32(content.length), content]);
}

/** A request as it goes on the wire. */
export function requestBytes(request: RawRequest): Uint8Array<ArrayBuffer> {
  const { type, flags = 0, cookie = 0n, offset = 0, data } = request;
  const length = request.length ?? data?.length ?? 0;
  const head = new Uint8Array(28);
  const fields = view(head);
  fields.setUint32(0, 0x25609513);
  fields.setUint16(4, flags);
  fields.setUint16(6, type);
  fields.setBigUint64(8, cookie);
  fields.setBigUint64(16, BigInt(offset));
  fields.setUint32(24, length);
  return joined(data === undefined ? [head] : [head, data]);
}

/** Two bytes. */
export function u16(value: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(2);
  view(bytes).setUint16(0, value);
  return bytes;
}

/** Four bytes. */
export function u32(value: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4);
  view(bytes).setUint32(0, value);
  return bytes;
}

/** The bytes of several parts. */
export function joined(parts: readonly Part[]): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  const pieces = parts.map((part) =>
    typeof part === "string" ? encoder.encode(part) : part
  );
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** The numbers in some bytes. */
export function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
