import assert from "node:assert/strict";
import { BodyRooms } from "./body_rooms.ts";

const SIZES = { sizeBytesMin: 32 << 10, sizeBytesMax: 1 << 20 };

Deno.test("BodyRooms gives memory out again, and frees what is too much", () => {
  const rooms = new BodyRooms({ ...SIZES, freeBytesMax: 200_000 });
  const first = rooms.take(40_000);
  const second = rooms.take(65_536);
  const third = rooms.take(131_072);
  assert.deepEqual([first.length, second.length], [65_536, 65_536]);
  for (const room of [first, second, third]) rooms.giveBack(room.buffer);
  assert.equal(rooms.freeBytes, 131_072, "the third would be too much");
  assert.equal(third.buffer.detached, true);
  const again = [rooms.take(33_000), rooms.take(60_000), rooms.take(60_000)]
    .map(({ buffer }) => buffer);
  assert(again.includes(first.buffer) && again.includes(second.buffer));
  assert.equal(new Set(again).size, 3, "nobody shares memory");
  assert.equal(rooms.freeBytes, 0);
});

Deno.test("BodyRooms holds nothing while nobody takes any", () => {
  const rooms = new BodyRooms({ ...SIZES, freeBytesMax: 200_000 });
  const { buffer } = rooms.take(40_000);
  rooms.giveBack(buffer);
  rooms.sweep();
  assert.equal(rooms.freeBytes, 65_536, "it was used since");
  rooms.sweep();
  assert.equal(rooms.freeBytes, 0);
  assert.notEqual(rooms.take(40_000).buffer, buffer);
});

Deno.test("BodyRooms frees memory of other sizes", () => {
  const rooms = new BodyRooms({ ...SIZES, freeBytesMax: 4 << 20 });
  for (const sizeBytes of [16_384, 40_000, 2 << 20]) {
    const other = new ArrayBuffer(sizeBytes);
    rooms.giveBack(other);
    assert.equal(other.detached, true);
  }
  assert.equal(rooms.freeBytes, 0);
});
