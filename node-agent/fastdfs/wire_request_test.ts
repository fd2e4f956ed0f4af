import assert from "node:assert/strict";
import { COMMAND } from "@kedge/schema/wire/fastdfs";
import { type ByteTaker, type PieceRoom, WireRequest } from "./wire_request.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** The lengths of the pieces in which a body is read. */
async function pieces(sizeBytes: number, room: PieceRoom): Promise<number[]> {
  const asked: number[] = [];
  const take = (lengthBytes: number) => {
    asked.push(lengthBytes);
    return Promise.resolve(new Uint8Array(lengthBytes));
  };
  const connection = { take, takeInto, glance: take };
  const request = uploadOf(sizeBytes, connection, room);
  const { body } = await request.content();
  let heldBytes = 0;
  if (body instanceof Uint8Array) heldBytes = body.length;
  else for await (const piece of body) heldBytes += piece.length;
  assert.equal(heldBytes, sizeBytes);
  assert.equal(request.leftBytes, 0);
  request.release();
  return asked;
}

const takeInto = (memory: Uint8Array<ArrayBuffer>) => memory;

function uploadOf(
  bodyBytes: number,
  connection: ByteTaker,
  room: PieceRoom,
): WireRequest {
  const header = { command: COMMAND.upload, bodyBytes, status: 0 };
  return new WireRequest(header, connection, room);
}

Deno.test("long content comes in few pieces", async () => {
  const room = { takenBytes: 0 };
  assert.deepEqual(await pieces(64 * KIB, room), [64 * KIB]);
  assert.deepEqual(await pieces(200_000, room), [200_000]);
  const long = await pieces(2 * MIB, room);
  assert.deepEqual(
    long.map((bytes) => bytes / KIB),
    Array(8).fill(256),
  );
  assert.equal(room.takenBytes, 0, "given back");
});

Deno.test("when many wait for content, each gets little room", async () => {
  const room = { takenBytes: 65 * MIB };
  const asked = await pieces(MIB, room);
  assert(asked.every((bytes) => bytes === 16 * KIB), `${asked}`);
  assert.equal(room.takenBytes, 65 * MIB);
});

Deno.test("content that waits for its answer counts: many at once get pieces", async () => {
  const room = { takenBytes: 0 };
  const take = (lengthBytes: number) => new Uint8Array(lengthBytes);
  const requests = Array.from(
    { length: 1000 },
    () => uploadOf(256 * KIB, { take, takeInto, glance: take }, room),
  );
  let wholeBytes = 0;
  for (const request of requests) {
    const { body } = await request.content(256 * KIB);
    if (body instanceof Uint8Array) wholeBytes += body.length;
    assert.equal(room.takenBytes, wholeBytes);
  }
  assert(wholeBytes <= 65 * MIB, `${wholeBytes} bytes are held`);
  for (const request of requests) request.release();
  assert.equal(room.takenBytes, 0, "given back once");
});

Deno.test("content lies in the memory that is given for it, unless it is very short", async () => {
  const room = { takenBytes: 0 };
  const take = (lengthBytes: number) => new Uint8Array(lengthBytes);
  const rooms: Uint8Array<ArrayBuffer>[] = [];
  const memory = (lengthBytes: number) => {
    const bytes = new Uint8Array(256 * KIB).subarray(0, lengthBytes);
    rooms.push(bytes);
    return bytes;
  };
  const contentOf = (sizeBytes: number) => {
    const connection = { take, takeInto, glance: take };
    const request = uploadOf(sizeBytes, connection, room);
    return request.content(256 * KIB, memory);
  };
  assert.equal((await contentOf(16 * KIB)).body, rooms[0]);
  assert.equal(room.takenBytes, 256 * KIB, "all of that memory counts");
  await contentOf(16 * KIB - 1);
  await contentOf(257 * KIB);
  assert.equal(rooms.length, 1);
});
