/**
 * A client for one NBD export on a Unix socket that only writes and flushes:
 * what is restored goes through the mirror like any other write.
 *
 * Source: the NBD protocol, fixed newstyle, NBD_OPT_EXPORT_NAME.
 *
 * @module
 */

const CLIENT_FIXED_NO_ZEROES = 3;
const OPTION_MAGIC = 0x4948_4156_454f_5054n;
const OPT_EXPORT_NAME = 1;
const REQUEST_MAGIC = 0x2560_9513;
const REPLY_MAGIC = 0x6744_6698;
const CMD_WRITE = 1;
const CMD_DISC = 2;
const CMD_FLUSH = 3;
/** Greeting of the server: two magics and flags, in bytes. */
const GREETING_BYTES = 18;
/** Size and flags of the export, in bytes. */
const EXPORT_BYTES = 10;
const REPLY_BYTES = 16;

/** An open export. */
export class NbdWriter implements AsyncDisposable {
  #handle = 0n;

  private constructor(
    readonly conn: Deno.Conn,
    /** Size of the export, in bytes. */
    readonly sizeBytes: number,
  ) {}

  /**
   * Open an export.
   *
   * @throws {Error} When the server refuses: it closes the connection.
   */
  static async open(path: string, name: string): Promise<NbdWriter> {
    const conn = await Deno.connect({ path, transport: "unix" });
    try {
      await readExactly(conn, GREETING_BYTES);
      const bytes = new TextEncoder().encode(name);
      const hello = new DataView(new ArrayBuffer(20));
      hello.setUint32(0, CLIENT_FIXED_NO_ZEROES);
      hello.setBigUint64(4, OPTION_MAGIC);
      hello.setUint32(12, OPT_EXPORT_NAME);
      hello.setUint32(16, bytes.length);
      await writeAll(conn, new Uint8Array(hello.buffer));
      await writeAll(conn, bytes);
      const view = viewOf(await readExactly(conn, EXPORT_BYTES));
      return new NbdWriter(conn, Number(view.getBigUint64(0)));
    } catch (error) {
      conn.close();
      throw error;
    }
  }

  /** Write; resolves when the mirror has answered. */
  async write(offset: number, content: Uint8Array): Promise<void> {
    await this.#ask(CMD_WRITE, { offset, content });
  }

  /** Make it durable. */
  async flush(): Promise<void> {
    await this.#ask(CMD_FLUSH, { offset: 0, content: new Uint8Array() });
  }

  /** Say good-bye. */
  async [Symbol.asyncDispose](): Promise<void> {
    await writeAll(this.conn, this.#request(CMD_DISC, 0, 0)).catch(() => {});
    this.conn.close();
  }

  async #ask(
    command: number,
    { offset, content }: {
      readonly offset: number;
      readonly content: Uint8Array;
    },
  ): Promise<void> {
    await writeAll(this.conn, this.#request(command, offset, content.length));
    if (command === CMD_WRITE) await writeAll(this.conn, content);
    const view = viewOf(await readExactly(this.conn, REPLY_BYTES));
    const isOurs = view.getUint32(0) === REPLY_MAGIC &&
      view.getBigUint64(8) === this.#handle;
    const problem = view.getUint32(4);
    if (isOurs && problem === 0) return;
    throw new Error(
      isOurs
        ? `the volume refused a write (error ${problem}): is it Primary here?`
        : "the export does not speak NBD",
    );
  }

  #request(command: number, offset: number, length: number): Uint8Array {
    const view = new DataView(new ArrayBuffer(28));
    view.setUint32(0, REQUEST_MAGIC);
    view.setUint16(6, command);
    view.setBigUint64(8, ++this.#handle);
    view.setBigUint64(16, BigInt(offset));
    view.setUint32(24, length);
    return new Uint8Array(view.buffer);
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

async function readExactly(
  conn: Deno.Conn,
  length: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const count = await conn.read(bytes.subarray(done));
    if (count === null) {
      throw new Error("the export was refused: is the volume Primary here?");
    }
    done += count;
  }
  return bytes;
}

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += await conn.write(bytes.subarray(done));
  }
}
