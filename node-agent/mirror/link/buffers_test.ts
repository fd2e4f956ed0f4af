/**
 * Frames through both buffers of a connection, cut wherever a socket cuts.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type MirrorFrame, mirrorFrameOf } from "@kedge/schema/wire/mirror";
import { InBuffer } from "./in_buffer.ts";
import { OutBuffer } from "./out_buffer.ts";

const RESYNC_NUMBERS = 3;

/** What left an {@link OutBuffer}, in order. */
function sent(fill: (out: OutBuffer) => void): Uint8Array {
  const pieces: number[] = [];
  const out = new OutBuffer((bytes) => {
    for (const byte of bytes) pieces.push(byte);
    return Promise.resolve();
  });
  fill(out);
  out.flush();
  return Uint8Array.from(pieces);
}

function resyncFrame(payload: Uint8Array): MirrorFrame {
  const lengthBytes = payload.length;
  const base = { kind: "resyncData", id: 1, offset: 0, lengthBytes } as const;
  return { ...base, payload, outcome: "data" };
}

function blocks(count: number): Uint8Array[] {
  return Array.from(
    { length: count },
    (_, index) => new Uint8Array(128 * 1024 - index * 512).fill(index + 1),
  );
}

Deno.test("a payload that was put in its place is sent as one that was copied", () => {
  const copied = sent((out) => {
    for (const block of blocks(5)) out.put(resyncFrame(block), 7);
  });
  const inPlace = sent((out) => {
    for (const block of blocks(5)) {
      const room = out.payloadRoom(RESYNC_NUMBERS, block.length);
      room.set(block);
      out.put(resyncFrame(room), 7);
    }
  });
  assert.deepEqual(inPlace, copied);
});

Deno.test("a payload whose place was taken by another frame is copied", () => {
  const room = (out: OutBuffer) => {
    const bytes = out.payloadRoom(RESYNC_NUMBERS, 4096);
    bytes.fill(9);
    return bytes;
  };
  const ack = { kind: "ack", received: 1, written: 1, stable: 0 } as const;
  const bytes = sent((out) => {
    const payload = room(out);
    out.put(ack, 7);
    // The acknowledgement lies on the first bytes of it: only the rest is whole.
    out.put(resyncFrame(payload.subarray(512)), 7);
  });
  const buffer = new InBuffer();
  buffer.room().set(bytes);
  buffer.filled(bytes.length);
  assert.equal(buffer.next()?.header.kind, "ack");
  const next = buffer.next();
  assert.ok(next !== undefined);
  const frame = mirrorFrameOf(next.header, next.body);
  assert.ok(frame.kind === "resyncData");
  assert.ok(frame.payload.every((byte) => byte === 9));
});

Deno.test("frames come out whole whatever each read brings", () => {
  const frames = blocks(40);
  const bytes = sent((out) => {
    for (const block of frames) out.put(resyncFrame(block), 7);
  });
  for (const readBytes of [1_000, 65_537, 131_072, 400_000, 10_000_000]) {
    const buffer = new InBuffer();
    let seen = 0;
    for (let at = 0; at < bytes.length;) {
      const room = buffer.room();
      assert.ok(room.length > 0);
      const count = Math.min(room.length, readBytes, bytes.length - at);
      room.set(bytes.subarray(at, at + count));
      buffer.filled(count);
      at += count;
      for (let got = buffer.next(); got !== undefined; got = buffer.next()) {
        const frame = mirrorFrameOf(got.header, got.body);
        assert.ok(frame.kind === "resyncData");
        assert.deepEqual(frame.payload, frames[seen]);
        seen++;
      }
    }
    assert.equal(seen, frames.length);
  }
});

/** A socket that takes a batch only when it is told to. */
class SlowSocket {
  readonly out = new OutBuffer((bytes) => {
    this.batch = bytes;
    this.#taken = Promise.withResolvers<void>();
    return this.#taken.promise;
  });
  batch: Uint8Array = new Uint8Array(0);
  #taken = Promise.withResolvers<void>();

  /** Queue a block and send what is queued, as far as the socket allows. */
  put(block: Uint8Array): void {
    this.out.put(resyncFrame(block), 7);
    this.out.flush();
  }

  /** The batch under way is gone. @returns Its bytes as they left. */
  async take(): Promise<Uint8Array> {
    const left = this.batch.slice();
    this.#taken.resolve();
    await this.#taken.promise;
    return left;
  }
}

Deno.test("a batch under way stays as it is while the next one is gathered", async () => {
  const [first, second, third] = blocks(3);
  assert.ok(first && second && third);
  const socket = new SlowSocket();
  socket.put(first);
  socket.put(second);
  socket.put(third);
  const alone = (...all: Uint8Array[]) =>
    sent((out) => all.forEach((block) => out.put(resyncFrame(block), 7)));
  assert.deepEqual(await socket.take(), alone(first));
  assert.deepEqual(await socket.take(), alone(second, third));
  assert.equal(socket.out.queuedBytes, 0);
});

Deno.test("with nothing queued behind it, a sent buffer is the next one", async () => {
  const [block] = blocks(1);
  assert.ok(block);
  const socket = new SlowSocket();
  const used = new Set<ArrayBufferLike>();
  for (let count = 0; count < 3; count++) {
    socket.put(block);
    used.add(socket.batch.buffer);
    await socket.take();
  }
  assert.equal(used.size, 1);
});
