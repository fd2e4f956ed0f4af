/**
 * Malformed conversations may never crash, hang or bloat the NBD server, nor
 * touch what they must not.
 */

import assert from "node:assert/strict";
import { Child } from "../helpers/child.ts";
import { within } from "../helpers/eventually.ts";
import { conversation } from "../helpers/nbd_fuzz.ts";
import { RawNbd } from "../helpers/nbd_raw.ts";
import { peakRssBytesOf, usageOf } from "../helpers/proc.ts";
import { Random, seedOfRun } from "../helpers/random.ts";
import { Scope } from "../helpers/scope.ts";
import { ROOT } from "../helpers/stack.ts";

/** Conversations of one run; `KEDGE_NBD_FUZZ` asks for more. */
const COUNT = Number(Deno.env.get("KEDGE_NBD_FUZZ") ?? 2_000);
/** Conversations at a time. */
const WIDTH = 8;
const IMAGE_BYTES = 4 * 1024 * 1024;
/** Replies that are read before the client hangs up, in bytes. */
const REPLY_BYTES_MAX = 2 * 1024 * 1024;
/** The server answers a client that has said everything within this time. */
const HANG_MS = 15_000;
const MIB = 1024 * 1024;
/** In front of every simple and structured reply. */
const REPLY_MAGICS = [0x67446698, 0x668e33ef];

interface Address {
  readonly hostname: string;
  readonly port: number;
}

Deno.test(`nbd: ${COUNT} malformed conversations`, async () => {
  const seed = seedOfRun("nbd fuzz");
  await using scope = new Scope();
  const dir = await scope.tempDir();
  const kept = new Random(seed).bytes(IMAGE_BYTES);
  await Deno.writeFile(`${dir}/kept`, kept);
  await Deno.writeFile(`${dir}/disk`, new Uint8Array(IMAGE_BYTES));
  const server = Child.start(scope, {
    command: [
      Deno.execPath(),
      ...["run", "-A", "--quiet"],
      `${ROOT}tests/helpers/nbd_file_server.ts`,
      ...[`disk=${dir}/disk`, `ro:kept=${dir}/kept`],
    ],
  });
  const { tcp } = JSON.parse(await server.line(/"tcp"/)) as { tcp: number };
  const addr = { hostname: "127.0.0.1", port: tcp };

  let next = 0;
  let rssBytes = 0;
  let served = 0;
  const worker = async () => {
    while (next < COUNT) {
      const number = next++;
      try {
        const random = new Random(seed + number * 7919);
        if (await converse(addr, random)) served++;
        if (number % 100 === 99) await isAsBefore(addr, kept);
      } catch (error) {
        const what = `conversation ${number} of seed ${seed}`;
        throw new Error(`${what}: ${server.text}`, { cause: error });
      }
      if (number === COUNT >> 2) rssBytes = usageOf(server.pid).rssBytes;
    }
  };
  await Promise.all(Array.from({ length: WIDTH }, worker));

  assert.equal(server.ended, false, server.text);
  // Otherwise the conversations are too wrong to try the transmission.
  assert.ok(served > COUNT / 4, `only ${served} got as far as a reply`);
  const grownBytes = usageOf(server.pid).rssBytes - rssBytes;
  assert.ok(grownBytes < 64 * MIB, `grew by ${grownBytes} bytes`);
  const peakBytes = peakRssBytesOf(server.pid);
  assert.ok(peakBytes < 320 * MIB, `took ${peakBytes} bytes`);
  await isAsBefore(addr, kept);
  const { code } = await server.stop();
  assert.equal(code, 0, server.text);
  assert.deepEqual(await Deno.readFile(`${dir}/kept`), kept);
  // A write beyond the end would have made the file longer.
  assert.equal((await Deno.stat(`${dir}/disk`)).size, IMAGE_BYTES);
});

/**
 * Say something malformed, and see the server end the connection.
 *
 * @returns Whether a request was answered.
 */
async function converse(addr: Address, random: Random): Promise<boolean> {
  const bytes = conversation(random, ["disk", "kept", "", "disk"]);
  const conn = await Deno.connect(addr);
  const listening = listen(conn);
  try {
    await speak(conn, bytes, random);
    if (random.next() > 0.2) { // otherwise hang up without waiting
      await conn.closeWrite();
      const what = "the server to end a connection";
      await within(listening, { what, deadlineMs: HANG_MS });
    }
  } catch (error) {
    if (!isReset(error)) throw error; // it may close while we speak
  } finally {
    close(conn);
  }
  return await listening;
}

async function speak(
  conn: Deno.Conn,
  bytes: Uint8Array,
  random: Random,
): Promise<void> {
  let at = 0;
  // Sometimes in small portions first: a message arrives in any pieces.
  for (let i = random.pick([0, 0, 1, 3]); i > 0 && at < bytes.length; i--) {
    const to = at + random.between(1, 40);
    at += await conn.write(bytes.subarray(at, to));
  }
  while (at < bytes.length) at += await conn.write(bytes.subarray(at));
}

/** Read until the end, or until it is enough; whether a reply was among it. */
async function listen(conn: Deno.Conn): Promise<boolean> {
  const buffer = new Uint8Array(65_536);
  let isServed = false;
  try {
    for (let sum = 0; sum < REPLY_BYTES_MAX;) {
      const count = await conn.read(buffer);
      if (count === null) break;
      sum += count;
      isServed ||= hasReply(buffer.subarray(0, count));
    }
  } catch {
    // Reset, or closed by ourselves.
  }
  return isServed;
}

function hasReply(bytes: Uint8Array): boolean {
  const numbers = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + 4 <= bytes.length; at++) {
    if (REPLY_MAGICS.includes(numbers.getUint32(at))) return true;
  }
  return false;
}

async function isAsBefore(
  addr: Address,
  kept: Uint8Array,
): Promise<void> {
  using client = await RawNbd.greet({ transport: "tcp", ...addr });
  await client.go("kept");
  const found = await client.read(MIB, 100_000);
  assert.deepEqual(found, kept.slice(MIB, MIB + 100_000));
}

function isReset(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.NotConnected ||
    error instanceof Deno.errors.ConnectionAborted;
}

function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch {
    // Closed already.
  }
}
