/**
 * Frames survive their way; what is no frame is refused by its own error.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { mirrorFrameBytes, mirrorFrameOf, putMirrorFrame } from "./codec.ts";
import type { MirrorFrame } from "./frames.ts";
import {
  MIRROR_BODY_BYTES_MAX,
  MIRROR_HEADER_BYTES,
  MIRROR_KINDS,
  MirrorFrameError,
  mirrorHeaderAt,
  type MirrorKind,
} from "./header.ts";

const number = fc.maxSafeNat();
const sectors = fc.nat().map((count) => count * 512);
const payload = fc.uint8Array({ maxLength: 5_000 });
const digest = fc.uint8Array({ maxLength: 64 });
const generation = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const range = { id: number, offset: number, lengthBytes: number };
const of = <K extends MirrorFrame["kind"], T extends object>(
  kind: K,
  fields: { [F in keyof T]: fc.Arbitrary<T[F]> },
) =>
  fc.record({ kind: fc.constant(kind), ...fields }, { noNullPrototype: true });

const frame = fc.oneof(
  of("data", { sequence: number, offset: number, payload }),
  of("zero", {
    sequence: number,
    offset: number,
    lengthBytes: number,
    mayPunch: fc.boolean(),
  }),
  of("flush", { sequence: number, barrier: fc.boolean() }),
  of("ack", { received: number, written: number, stable: number }),
  of("failed", { sequence: number }),
  of("dirty", { offset: number, lengthBytes: number }),
  of("readRequest", range),
  of("readReply", { id: number, payload }),
  of("resyncRequest", { ...range, digest }),
  of("resyncData", {
    ...range,
    payload,
    outcome: fc.constantFrom("data", "same", "failed"),
  }),
  of("resyncStable", { id: number }),
  of("verifyRequest", range),
  of("verifyReply", { id: number, digest }),
  of("bitmap", { atByte: number, payload, last: fc.boolean() }),
  of("syncGeneration", { generation }),
  of("currentGeneration", { generation }),
  of("stateReply", { id: number, code: fc.integer({ min: -999, max: 999 }) }),
  of("sizeRequest", {
    id: number,
    wish: fc.record({
      step: fc.constantFrom("lead" as const, "grow" as const),
      sizeBytes: sectors,
      assumeClean: fc.boolean(),
      backingBytes: number,
    }, { noNullPrototype: true }),
  }),
  of("sizeReply", {
    id: number,
    answer: fc.record({
      code: fc.integer({ min: -999, max: 999 }),
      sizeBytes: sectors,
      why: fc.string({ maxLength: 100 }),
    }, { noNullPrototype: true, requiredKeys: ["code", "sizeBytes"] }),
  }),
) as fc.Arbitrary<MirrorFrame>;

function encoded(frame: MirrorFrame, epoch: number, at: number) {
  const bytes = new Uint8Array(at + mirrorFrameBytes(frame));
  const view = new DataView(bytes.buffer);
  const end = putMirrorFrame(frame, epoch, bytes, view, at);
  return { bytes, view, end };
}

Deno.test("every frame survives its way, wherever it stands", () => {
  fc.assert(fc.property(frame, number, fc.nat(100), (sent, epoch, at) => {
    const { bytes, view, end } = encoded(sent, epoch, at);
    const header = mirrorHeaderAt(bytes, view, at);
    assert.equal(header.epoch, epoch);
    assert.equal(header.kind, sent.kind);
    assert.equal(end, at + MIRROR_HEADER_BYTES + header.bodyLength);
    const body = bytes.subarray(at + MIRROR_HEADER_BYTES, end);
    assert.deepEqual(mirrorFrameOf(header, body), sent);
  }));
});

Deno.test("a changed bit of the header is noticed", () => {
  fc.assert(
    fc.property(
      frame,
      fc.nat(MIRROR_HEADER_BYTES - 1),
      fc.nat(7),
      (sent, at, bit) => {
        const { bytes, view } = encoded(sent, 0, 0);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
        assert.throws(() => mirrorHeaderAt(bytes, view, 0), MirrorFrameError);
      },
    ),
  );
});

Deno.test("any body of any kind is a frame, or an error of its own", () => {
  const kinds = Object.keys(MIRROR_KINDS).filter((kind) =>
    MIRROR_KINDS[kind as MirrorKind] >= 10
  ) as MirrorKind[];
  fc.assert(
    fc.property(
      fc.constantFrom(...kinds),
      fc.nat(0xffff),
      fc.uint8Array({ maxLength: 200 }),
      (kind, flags, body) => {
        const { length: bodyLength } = body;
        const header = { kind, flags, bodyLength, bodyCrc: 0, epoch: 0 };
        try {
          assert.equal(mirrorFrameOf(header, body).kind, kind);
        } catch (error) {
          assert.ok(error instanceof MirrorFrameError, String(error));
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

Deno.test("a payload beyond the limit is not sent", () => {
  const payload = new Uint8Array(MIRROR_BODY_BYTES_MAX);
  const sent = { kind: "data", sequence: 1, offset: 0, payload } as const;
  assert.throws(() => encoded(sent, 0, 0), RangeError);
});
