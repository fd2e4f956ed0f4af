/**
 * FastDFS's own protocol, as far as a bench needs it: ask the tracker for a
 * storage, upload, download, delete. Source: fastdfs-protocol.md.
 *
 * ```text
 * header   0   8  length of the body, big endian
 *          8   1  command; 100 is an answer
 *          9   1  status; 0 is good
 * ```
 *
 * @module
 */

import { content } from "./subject.ts";
import type { Worker } from "./load.ts";

const HEADER_BYTES = 10;
const GROUP_BYTES = 16;
const QUERY_STORE = 101;
const QUERY_FETCH = 102;
const LIST_STORAGES = 92;
const UPLOAD = 11;
const DOWNLOAD = 14;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A file as FastDFS names it. */
export interface FastdfsFile {
  readonly group: string;
  readonly name: string;
}

/** One connection; one request at a time. */
export class FastdfsConnection {
  readonly #conn: Deno.TcpConn;

  private constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  /** Connect. */
  static async open(
    hostname: string,
    port: number,
  ): Promise<FastdfsConnection> {
    const conn = await Deno.connect({ hostname, port });
    conn.setNoDelay(true);
    return new FastdfsConnection(conn);
  }

  /**
   * Send a request and read its answer.
   *
   * @throws {Error} With the status when it is not 0.
   */
  async ask(command: number, body: Uint8Array): Promise<Uint8Array> {
    const request = new Uint8Array(HEADER_BYTES + body.length);
    new DataView(request.buffer).setBigUint64(0, BigInt(body.length));
    request[8] = command;
    request.set(body, HEADER_BYTES);
    for (let sent = 0; sent < request.length;) {
      sent += await this.#conn.write(request.subarray(sent));
    }
    const header = await this.#read(HEADER_BYTES);
    const length = Number(new DataView(header.buffer).getBigUint64(0));
    const answer = await this.#read(length);
    if (header[9] !== 0) throw new Error(`${command}: status ${header[9]}`);
    return answer;
  }

  /** Close; it may be broken already. */
  close(): void {
    try {
      this.#conn.close();
    } catch {
      // The other side was quicker.
    }
  }

  async #read(length: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const got = await this.#conn.read(bytes.subarray(done));
      if (got === null) throw new Error("FastDFS closed the connection");
      done += got;
    }
    return bytes;
  }
}

/** Where a tracker is. */
export interface FastdfsTracker {
  readonly hostname: string;
  readonly port: number;
}

/** Statuses of the storages of a group; 7 is active. */
export async function storageStatuses(
  tracker: FastdfsTracker,
): Promise<number[]> {
  const conn = await FastdfsConnection.open(tracker.hostname, tracker.port);
  try {
    const answer = await conn.ask(LIST_STORAGES, field("group1", GROUP_BYTES));
    const record = 487;
    return Array.from(
      { length: Math.floor(answer.length / record) },
      (_, i) => answer[i * record] ?? -1,
    );
  } finally {
    conn.close();
  }
}

/** A worker that uploads; each operation asks the tracker first. */
export async function fastdfsUploader(
  tracker: FastdfsTracker,
  sizeBytes: number,
  files: FastdfsFile[],
): Promise<Worker> {
  const doors = new Doors(tracker);
  const body = new Uint8Array(15 + sizeBytes);
  new DataView(body.buffer).setBigUint64(1, BigInt(sizeBytes));
  body.set(encoder.encode("bin"), 9);
  body.set(content(sizeBytes), 15);
  const ask = await doors.tracker();
  const upload = async () => {
    const where = await ask.ask(QUERY_STORE, new Uint8Array());
    const storage = await doors.storage(where);
    body[0] = where[39] ?? 0;
    const answer = await storage.ask(UPLOAD, body);
    files.push({
      group: text(answer.subarray(0, GROUP_BYTES)),
      name: text(answer.subarray(GROUP_BYTES)),
    });
  };
  return Object.assign(upload, { close: () => doors.close() });
}

/** A worker that downloads; each operation asks the tracker first. */
export async function fastdfsDownloader(
  tracker: FastdfsTracker,
  sizeBytes: number,
  files: readonly FastdfsFile[],
): Promise<Worker> {
  const read = await fastdfsReader(tracker);
  let n = Math.floor(Math.random() * files.length);
  const download = async () => {
    const file = files[n++ % files.length];
    if (file === undefined) return false;
    if (await read(file) !== sizeBytes) throw new Error("wrong length");
  };
  return Object.assign(download, { close: () => read.close() });
}

/** Reads a file, asking the tracker where; gives its length in bytes. */
export interface FastdfsReader {
  (file: FastdfsFile): Promise<number>;
  /** Closes its connections. */
  close(): void;
}

/** A reader with connections of its own. */
export async function fastdfsReader(
  tracker: FastdfsTracker,
): Promise<FastdfsReader> {
  const doors = new Doors(tracker);
  const ask = await doors.tracker();
  const read = async ({ group, name }: FastdfsFile) => {
    const named = joined(field(group, GROUP_BYTES), bytesOf(name));
    const storage = await doors.storage(await ask.ask(QUERY_FETCH, named));
    const answer = await storage.ask(
      DOWNLOAD,
      joined(new Uint8Array(16), named),
    );
    return answer.length;
  };
  return Object.assign(read, { close: () => doors.close() });
}

/** Connections of one worker. */
class Doors {
  readonly #storages = new Map<string, FastdfsConnection>();
  readonly #open = new Set<FastdfsConnection>();

  constructor(readonly where: FastdfsTracker) {}

  async tracker(): Promise<FastdfsConnection> {
    const { hostname, port } = this.where;
    return this.#keep(await FastdfsConnection.open(hostname, port));
  }

  /** Servers have room for so many: nobody may leave open ones behind. */
  close(): void {
    for (const connection of this.#open) connection.close();
    this.#open.clear();
  }

  #keep(connection: FastdfsConnection): FastdfsConnection {
    this.#open.add(connection);
    return connection;
  }

  /** The storage named by an answer: `group[16] ip[15] port[8] …`. */
  async storage(answer: Uint8Array): Promise<FastdfsConnection> {
    const hostname = text(answer.subarray(16, 31));
    const view = new DataView(answer.buffer, answer.byteOffset);
    const port = Number(view.getBigUint64(31));
    const known = this.#storages.get(hostname);
    if (known !== undefined) return known;
    const made = this.#keep(await FastdfsConnection.open(hostname, port));
    this.#storages.set(hostname, made);
    return made;
  }
}

function field(words: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set(encoder.encode(words));
  return bytes;
}

function bytesOf(words: string): Uint8Array {
  return encoder.encode(words);
}

function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}
