import assert from "node:assert/strict";
import fc from "fast-check";
import { FRAME_BODY_BYTES_MAX } from "../limits.ts";
import { encodeFrame } from "./frame.ts";
import { FrameReader, LONG_BODY_BYTES_MIN } from "./frame_reader.ts";

function frame(body: Uint8Array, epoch = 1): Uint8Array<ArrayBuffer> {
  return concat(encodeFrame({ kind: "chunk", epoch, parts: [body] }));
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Feed pieces; collect bodies in hex, and the fault if one comes. */
function readAll(pieces: readonly Uint8Array[], reader = new FrameReader()) {
  const seen: string[] = [];
  for (let piece of pieces) {
    while (piece.length > 0) {
      const space = reader.space();
      const count = Math.min(space.length, piece.length);
      space.set(piece.subarray(0, count));
      reader.filled(count);
      piece = piece.subarray(count);
      for (;;) {
        const event = reader.next();
        if (event.kind === "need-data") break;
        if (event.kind === "fault") return [...seen, event.fault];
        seen.push(event.frame.body.toHex());
      }
    }
  }
  return seen;
}

Deno.test("FrameReader gives the same frames however the stream is cut", () => {
  const bodies = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 });
  const cuts = fc.array(fc.nat({ max: 400 }));
  fc.assert(fc.property(bodies, cuts, (bodies, cuts) => {
    const stream = concat(bodies.map((body) => frame(body)));
    const edges = [0, ...cuts, stream.length].map((edge) =>
      Math.min(edge, stream.length)
    ).sort((a, b) => a - b);
    const pieces = edges.slice(1).map((to, i) => stream.slice(edges[i], to));
    assert.deepEqual(readAll(pieces), bodies.map((body) => body.toHex()));
  }));
});

Deno.test("FrameReader takes one byte at a time", () => {
  const bodies = [new Uint8Array(70_000).fill(3), new Uint8Array(0)];
  const stream = concat(bodies.map((body) => frame(body)));
  const pieces = [...stream].map((byte) => Uint8Array.of(byte));
  assert.deepEqual(readAll(pieces), bodies.map((body) => body.toHex()));
});

Deno.test("FrameReader refuses a stream with any one bit flipped", () => {
  const good = frame(Uint8Array.of(1, 2, 3, 4));
  for (let bit = 0; bit < good.length * 8; bit++) {
    const bad = good.slice();
    bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const seen = readAll([bad]);
    assert(!seen.includes("01020304"), `bit ${bit} was accepted`);
    assert.equal(seen.length, 1, `bit ${bit} gave no fault`);
  }
});

Deno.test("FrameReader allocates nothing for a body over its limit", () => {
  const reader = new FrameReader(100);
  const before = reader.heldBytes;
  const seen = readAll([frame(new Uint8Array(101))], reader);
  assert.deepEqual(seen, ["body-over-limit"]);
  assert.equal(reader.heldBytes, before);
});

Deno.test("FrameReader gives memory back after a large frame", () => {
  const reader = new FrameReader();
  const small = reader.heldBytes;
  const stream = frame(new Uint8Array(FRAME_BODY_BYTES_MAX));
  readAll([stream.subarray(0, 50_000)], reader);
  assert(reader.heldBytes >= FRAME_BODY_BYTES_MAX);
  readAll([stream.subarray(50_000)], reader);
  assert.equal(reader.heldBytes, small);
});

Deno.test("FrameReader puts long bodies alone into the memory that it is given", () => {
  const lengths = [LONG_BODY_BYTES_MIN - 1, LONG_BODY_BYTES_MIN, 100_000, 5];
  const bodies = lengths.map((length, i) => new Uint8Array(length).fill(i + 1));
  const stream = concat(bodies.map((body) => frame(body)));
  for (const pieceBytes of [1000, 30_000, stream.length]) {
    const taken: ArrayBuffer[] = [];
    const reader = new FrameReader();
    reader.useMemory((lengthBytes) => {
      const memory = new Uint8Array(lengthBytes + 9).fill(0xee);
      taken.push(memory.buffer);
      return memory;
    });
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < stream.length; at += pieceBytes) {
      pieces.push(stream.subarray(at, at + pieceBytes));
    }
    const seen = readAll(pieces, reader);
    assert.deepEqual(seen, bodies.map((body) => body.toHex()));
    const wanted = [LONG_BODY_BYTES_MIN + 9, 100_009];
    assert.deepEqual(taken.map(({ byteLength }) => byteLength), wanted);
  }
});

Deno.test("FrameReader stays faulty after a fault", () => {
  const reader = new FrameReader();
  const bad = frame(Uint8Array.of(1));
  bad[0] = 0;
  assert.deepEqual(readAll([bad], reader), ["bad-magic"]);
  assert.deepEqual(readAll([frame(Uint8Array.of(2))], reader), ["bad-magic"]);
});
