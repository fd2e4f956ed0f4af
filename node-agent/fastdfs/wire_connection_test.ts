import assert from "node:assert/strict";
import {
  COMMAND,
  HEADER_BYTES,
  readHeader,
  writeHeader,
} from "@kedge/schema/wire/fastdfs";
import { eventually } from "../../tests/helpers/eventually.ts";
import type { Clock } from "../ports.ts";
import { ReplyRooms } from "./reply_rooms.ts";
import { WireConnection } from "./wire_connection.ts";
import type { WireRequest } from "./wire_request.ts";
import { serveWire } from "./wire_server.ts";

const NO_LOG = { info: () => {}, warn: () => {} };
const PATIENCE = { idleMs: 60_000, windowMs: 1000, bytesPerSecondMin: 1024 };

/** Both ends of a connection. */
async function connected(clock: Clock) {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const client = await Deno.connect({ hostname: "127.0.0.1", port });
  const conn = await listener.accept();
  return {
    client,
    connection: new WireConnection(conn, clock, PATIENCE),
    [Symbol.dispose]: () => client[Symbol.dispose](),
  };
}

/** Refuses while the body is being read, as when an owner answers early. */
async function refuseEarly(request: WireRequest) {
  const { body } = await request.content(0);
  assert(body instanceof ReadableStream);
  body.getReader().read().catch(() => {});
  return { status: 30 };
}

Deno.test("a client that stops in a body that was refused is cut off", async () => {
  let nowMs = 0;
  const clock = { monotonicMs: () => nowMs, wallMs: () => nowMs };
  using ends = await connected(clock);
  const { client, connection } = ends;
  let isOver = false;
  const served = serveWire(connection, {
    handle: refuseEarly,
    client: "127.0.0.1",
    clock,
    room: { takenBytes: 0 },
    replyRooms: new ReplyRooms(),
    log: NO_LOG,
  }).then(() => void (isOver = true));
  try {
    const head = new Uint8Array(HEADER_BYTES + 10);
    const command = COMMAND.append;
    writeHeader(head, { bodyBytes: 1 << 20, command, status: 0 });
    await client.write(head);
    const answer = new Uint8Array(HEADER_BYTES);
    assert.equal(await client.read(answer), HEADER_BYTES);
    assert.equal(readHeader(answer)?.status, 30);
    const look = () => {
      nowMs += 2000;
      connection.check();
      return isOver;
    };
    const what = "the end of the connection";
    await eventually(look, { what, deadlineMs: 3000 });
  } finally {
    connection.close();
    await served;
  }
});

Deno.test("content on its way to a client counts until it has left", async () => {
  const clock = { monotonicMs: () => 0, wallMs: () => 0 };
  using ends = await connected(clock);
  const { client, connection } = ends;
  const replyRooms = new ReplyRooms();
  const seen: number[] = [];
  const lengthBytes = 5 << 20;
  const bytes = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      seen.push(replyRooms.sendingBytes);
      if (seen.length === 6) controller.close();
      else controller.enqueue(new Uint8Array(1 << 20));
    },
  }, { highWaterMark: 0 });
  const served = serveWire(connection, {
    handle: () => ({ status: 0, content: { lengthBytes, bytes } }),
    client: "127.0.0.1",
    clock,
    room: { takenBytes: 0 },
    replyRooms,
    log: NO_LOG,
  });
  await client.write(new Uint8Array(HEADER_BYTES));
  await client.closeWrite();
  let count = 0;
  for await (const piece of client.readable) count += piece.length;
  await served;
  assert.equal(count, HEADER_BYTES + lengthBytes);
  assert.deepEqual(new Set(seen), new Set([2 << 20]), "two blocks at most");
  assert.equal(replyRooms.sendingBytes, 0);
});

Deno.test("what is taken stays, what was glanced at is overwritten", async () => {
  const clock = { monotonicMs: () => 0, wallMs: () => 0 };
  using ends = await connected(clock);
  const { client, connection } = ends;
  try {
    await client.write(Uint8Array.of(1, 2, 3, 4));
    assert.equal(await connection.begin(), true);
    const taken = await connection.take(2);
    const glanced = await connection.glance(2);
    assert.deepEqual([...glanced], [3, 4]);
    await client.write(Uint8Array.of(5, 6, 7, 8));
    assert.equal(await connection.begin(), true);
    assert.deepEqual([...await connection.glance(4)], [5, 6, 7, 8]);
    assert.deepEqual([...taken], [1, 2]);
    client.close();
    assert.equal(await connection.begin(), false);
  } finally {
    connection.close();
  }
});

Deno.test("bytes are put where they are wanted, those that have come and those that come", async () => {
  const clock = { monotonicMs: () => 0, wallMs: () => 0 };
  using ends = await connected(clock);
  const { client, connection } = ends;
  try {
    await client.write(Uint8Array.of(1, 2, 3));
    assert.equal(await connection.begin(), true);
    const here = new Uint8Array(2);
    assert.equal(connection.takeInto(here), here, "at once");
    const coming = new Uint8Array(40_000);
    const taking = connection.takeInto(coming);
    await client.write(new Uint8Array(39_999).fill(7));
    assert.equal(await taking, coming);
    assert.deepEqual([...here], [1, 2]);
    assert.equal(coming[0], 3);
    assert(coming.subarray(1).every((byte) => byte === 7));
  } finally {
    connection.close();
  }
});
