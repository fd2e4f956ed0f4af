/**
 * The other end of the yardsticks: a process of its own, as the peer of a mirror
 * is. Started by `mirror_limits.ts` with the path of an image; prints its port.
 *
 * The first byte of a connection says what it is for (`PeerTask`).
 *
 * @module
 */

/** What the peer does with a connection; see {@link serve}. */
export const PeerTask = { answer: 0, drop: 1, write: 2, read: 3 } as const;

/** A frame of 4 KiB with its header, and the answer to it, in bytes. */
export const FRAME_BYTES = 4128;
/** See {@link FRAME_BYTES}. */
export const ANSWER_BYTES = 56;

/** A resync reads and writes so much at a time, in bytes. */
export const BLOCK_BYTES: number = 128 * 1024;
/** What arrives is flushed in such parts, beside what goes on, in bytes. */
const FLUSH_BYTES = 32 * 1024 * 1024;

type Serve = (conn: Deno.TcpConn, image: string) => Promise<void>;

const TASKS: Readonly<Record<number, Serve>> = {
  [PeerTask.answer]: answerFrames,
  [PeerTask.drop]: drop,
  [PeerTask.write]: writeDown,
  [PeerTask.read]: readThrough,
};

async function answerFrames(conn: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(64 * 1024);
  for (let have = 0;;) {
    const count = await conn.read(buffer);
    if (count === null) return;
    for (have += count; have >= FRAME_BYTES; have -= FRAME_BYTES) {
      await conn.write(buffer.subarray(0, ANSWER_BYTES));
    }
  }
}

async function drop(conn: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(1024 * 1024);
  while (await conn.read(buffer) !== null);
}

/** Write to the image what comes, and make it stable. */
async function writeDown(conn: Deno.TcpConn, image: string): Promise<void> {
  using file = await Deno.open(image, { write: true });
  using flusher = await Deno.open(image, { write: true });
  const buffer = new Uint8Array(4 * BLOCK_BYTES);
  let flushing: Promise<void> | undefined;
  let dirtyBytes = 0;
  for (;;) {
    const count = await conn.read(buffer);
    if (count === null) break;
    for (let at = 0; at < count;) {
      const end = Math.min(count, at + BLOCK_BYTES);
      at += file.writeSync(buffer.subarray(at, end));
    }
    dirtyBytes += count;
    if (flushing !== undefined || dirtyBytes < FLUSH_BYTES) continue;
    dirtyBytes = 0;
    flushing = flusher.syncData().finally(() => flushing = undefined);
  }
  await flushing;
  await flusher.syncData();
}

/** Read the whole image. */
async function readThrough(_: Deno.TcpConn, image: string): Promise<void> {
  using file = await Deno.open(image);
  const block = new Uint8Array(BLOCK_BYTES);
  while (file.readSync(block) !== null);
}

async function serve(conn: Deno.TcpConn, image: string): Promise<void> {
  conn.setNoDelay(true);
  const task = new Uint8Array(1);
  await conn.read(task);
  await TASKS[task[0] ?? PeerTask.drop]?.(conn, image);
  conn.close();
}

if (import.meta.main) {
  const [image = ""] = Deno.args;
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const line = `${JSON.stringify({ port: listener.addr.port })}\n`;
  Deno.stdout.writeSync(new TextEncoder().encode(line));
  for await (const conn of listener) await serve(conn, image);
}
