import assert from "node:assert/strict";
import { KIB, MIB } from "@kedge/schema";
import { PieceRoom, piecesOf, roomFor } from "./body_pieces.ts";

Deno.test("piecesOf() gives every byte once, whatever the pieces are", async () => {
  const sent = new Uint8Array(3 * MIB).map((_, at) => at * 7 + (at >> 8));
  const lengths = [1, 16 * KIB, 16 * KIB + 1, 100_000, 700_000, 5];
  const body = byteStream(sent, lengths);
  const pieces = piecesOf(body, new PieceRoom());
  const got: Uint8Array[] = [];
  for (;;) {
    const piece = await pieces.next();
    if (piece === undefined) break;
    // Who owns a piece may free its buffer.
    assert.equal(piece.length, piece.buffer.byteLength);
    got.push(piece);
  }
  pieces.close();
  const all = new Uint8Array(await new Blob(got as BlobPart[]).arrayBuffer());
  assert.deepEqual(all, sent);
  assert.equal(await pieces.next(), undefined);
});

Deno.test("piecesOf() reads a stream that is not one of bytes", async () => {
  const body = ReadableStream.from([new Uint8Array(3), new Uint8Array(4)]);
  const pieces = piecesOf(body, new PieceRoom());
  assert.equal((await pieces.next())?.length, 3);
  assert.equal((await pieces.next())?.length, 4);
  assert.equal(await pieces.next(), undefined);
});

Deno.test("roomFor() grows with what has come", () => {
  const table = [[0, 16 * KIB], [MIB, 128 * KIB], [100 * MIB, MIB]] as const;
  for (const [received, room] of table) assert.equal(roomFor(received), room);
});

Deno.test("PieceRoom gives the least when too much is held", () => {
  const room = new PieceRoom();
  for (let n = 0; n < 32; n++) assert.equal(room.take(MIB), MIB);
  assert.equal(room.take(MIB), 16 * KIB);
  room.giveBack(16 * KIB);
  room.giveBack(MIB);
  assert.equal(room.take(MIB), MIB);
});

/** Fills what it is asked for, at most so much at a time. */
function byteStream(
  bytes: Uint8Array,
  lengths: readonly number[],
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let at = 0;
  let turn = 0;
  return new ReadableStream({
    type: "bytes",
    pull(controller) {
      const request = controller.byobRequest;
      const view = request?.view;
      assert(request && view, "read into room of the caller");
      const most = lengths[turn++ % lengths.length] ?? 1;
      const next = bytes.subarray(at, at + Math.min(most, view.byteLength));
      new Uint8Array(view.buffer, view.byteOffset).set(next);
      at += next.length;
      if (next.length === 0) controller.close();
      request.respond(next.length);
    },
  });
}
