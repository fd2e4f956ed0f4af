import assert from "node:assert/strict";
import { COMMAND, HEADER_BYTES, readHeader } from "@kedge/schema/wire/fastdfs";
import { ReplyRooms } from "./reply_rooms.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

function head(bodyBytes: number) {
  return { bodyBytes, command: COMMAND.response, status: 0 };
}

Deno.test("content that was read into the room leaves behind its header", () => {
  const room = new ReplyRooms().open();
  const content = room.content(3);
  content.set([7, 8, 9]);
  const answer = room.answer(content, head(3));
  assert(answer !== undefined);
  assert.equal(answer.length, HEADER_BYTES + 3);
  assert.equal(readHeader(answer)?.bodyBytes, 3);
  assert.deepEqual([...answer.subarray(HEADER_BYTES)], [7, 8, 9]);
});

Deno.test("a short answer is a header and a body", () => {
  const room = new ReplyRooms().open();
  assert.deepEqual(readHeader(room.short(head(0), undefined)), head(0));
  const answer = room.short(head(2), Uint8Array.of(7, 8));
  assert.equal(answer.length, HEADER_BYTES + 2);
  assert.deepEqual([...answer.subarray(HEADER_BYTES)], [7, 8]);
});

Deno.test("content that lies elsewhere has no room here", () => {
  const room = new ReplyRooms().open();
  assert.equal(room.answer(new Uint8Array(3), head(3)), undefined);
  const content = room.content(100);
  assert.equal(room.answer(content.subarray(1), head(99)), undefined);
});

Deno.test("who asks twice gets the larger room", () => {
  const room = new ReplyRooms().open();
  room.content(3);
  const content = room.content(100_000);
  assert.equal(content.length, 100_000);
  assert.equal(room.answer(content, head(1))?.length, 100_010);
});

Deno.test("released memory is used again, for one answer at a time", () => {
  const rooms = new ReplyRooms();
  const first = rooms.open();
  const { buffer } = first.content(200_000);
  const meanwhile = rooms.open().content(200_000);
  assert.notEqual(meanwhile.buffer, buffer);
  first.release();
  first.release();
  assert.equal(rooms.open().content(190_000).buffer, buffer);
  assert.notEqual(rooms.open().content(190_000).buffer, buffer);
});

Deno.test("only so much memory is kept, and none while nobody downloads", () => {
  const rooms = new ReplyRooms();
  const all = Array.from({ length: 40 }, () => rooms.open());
  const buffers = new Set(all.map((room) => room.content(MIB - 100).buffer));
  all.forEach((room) => room.release());
  const again = () =>
    Array.from({ length: 40 }, () => rooms.open().content(MIB - 100).buffer)
      .filter((buffer) => buffers.has(buffer)).length;
  assert.equal(again(), 16, "16 MiB are kept");
  const last = rooms.open();
  const { buffer } = last.content(5);
  last.release();
  rooms.sweep();
  const kept = rooms.open();
  assert.equal(kept.content(5).buffer, buffer, "used since the last sweep");
  kept.release();
  rooms.sweep();
  rooms.sweep();
  assert.notEqual(rooms.open().content(5).buffer, buffer);
});
