/**
 * Bodies of the mirror's frames: numbers of 8 bytes, then a payload; JSON for
 * the rare ones. Kinds and their fields are in one table.
 *
 * Pure: bytes in, values out. Everything that comes in is checked here for
 * form; whether a range lies inside the volume is the core's question.
 *
 * @module
 */

import { z } from "zod";
import {
  MirrorReport,
  MirrorStateWords,
  SizeAnswer,
  SizeWish,
  StateWish,
} from "./control.ts";
import type { MirrorFrame, MirrorFrameKind } from "./frames.ts";
import {
  MIRROR_BODY_BYTES_MAX,
  MIRROR_HEADER_BYTES,
  MirrorFrameError,
  type MirrorHeader,
  numberAt,
  putMirrorHeader,
  putNumber,
} from "./header.ts";

/** A frame as numbers, payload and flags: what all bodies have in common. */
interface Parts {
  readonly numbers: readonly number[];
  readonly payload?: Uint8Array;
  readonly flags?: number;
}

const NOTHING = new Uint8Array(0);
const OUTCOMES = ["data", "same", "failed"] as const;
const JSON_BYTES_MAX = 16 * 1024;

/** The space that a frame takes at most, in bytes. */
export function mirrorFrameBytes(frame: MirrorFrame): number {
  switch (frame.kind) {
    case "data":
    case "readReply":
    case "resyncData":
    case "bitmap":
      return MIRROR_HEADER_BYTES + 40 + frame.payload.length;
    case "resyncRequest":
    case "verifyReply":
      return MIRROR_HEADER_BYTES + 40 + frame.digest.length;
    case "report":
    case "state":
    case "stateRequest":
    case "sizeRequest":
    case "sizeReply":
      return MIRROR_HEADER_BYTES + JSON_BYTES_MAX;
    default:
      return MIRROR_HEADER_BYTES + 40;
  }
}

/**
 * Encode a frame.
 *
 * @param frame What to say; its payload is copied, unless it is in its place
 *   in `bytes` already.
 * @param epoch Epoch that the sender acts under.
 * @param bytes Where to, with `mirrorFrameBytes` of room behind `at`.
 * @param view A view of the same buffer.
 * @returns The offset behind it.
 */
export function putMirrorFrame(
  frame: MirrorFrame,
  epoch: number,
  bytes: Uint8Array,
  view: DataView,
  at: number,
): number {
  const { numbers, payload = NOTHING, flags = 0 } = partsOf(frame);
  let end = at + MIRROR_HEADER_BYTES;
  for (const number of numbers) {
    putNumber(view, end, number);
    end += 8;
  }
  if (!isThere(payload, bytes, end)) bytes.set(payload, end);
  end += payload.length;
  const bodyLength = end - at - MIRROR_HEADER_BYTES;
  if (bodyLength > MIRROR_BODY_BYTES_MAX) {
    throw new RangeError(`A ${frame.kind} frame of ${bodyLength} bytes`);
  }
  putMirrorHeader(bytes, view, at, {
    kind: frame.kind,
    flags,
    bodyLength,
    epoch,
  });
  return end;
}

/**
 * Decode a body whose checksum was found right.
 *
 * @param body Its bytes; payloads of the result are views of them.
 * @throws {MirrorFrameError} When it is not what `header` says.
 */
export function mirrorFrameOf(
  header: MirrorHeader,
  body: Uint8Array,
): MirrorFrame {
  const { flags } = header;
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const kind = header.kind as MirrorFrameKind;
  const count = MIRROR_NUMBERS[kind];
  if (count === undefined || body.length < count * 8) {
    throw new MirrorFrameError(`a ${kind} frame that is too short`);
  }
  const number = (index: number) => numberAt(view, index * 8);
  const rest = body.subarray(count * 8);
  if (!HAS_PAYLOAD.has(kind) && rest.length > 0) {
    throw new MirrorFrameError(`a ${kind} frame that is too long`);
  }
  switch (kind) {
    case "data":
      return { kind, sequence: number(0), offset: number(1), payload: rest };
    case "zero":
      return {
        kind,
        sequence: number(0),
        offset: number(1),
        lengthBytes: number(2),
        mayPunch: flags === 1,
      };
    case "flush":
      return { kind, sequence: number(0), barrier: flags === 1 };
    case "failed":
      return { kind, sequence: number(0) };
    case "ack":
      return {
        kind,
        received: number(0),
        written: number(1),
        stable: number(2),
      };
    case "dirty":
      return { kind, offset: number(0), lengthBytes: number(1) };
    case "readRequest":
    case "verifyRequest":
      return {
        kind,
        id: number(0),
        offset: number(1),
        lengthBytes: number(2),
      };
    case "readReply":
      return { kind, id: number(0), payload: rest };
    case "verifyReply":
      return { kind, id: number(0), digest: rest };
    case "resyncRequest":
      return {
        kind,
        id: number(0),
        offset: number(1),
        lengthBytes: number(2),
        digest: rest,
      };
    case "resyncData":
      return {
        kind,
        id: number(0),
        offset: number(1),
        lengthBytes: number(2),
        outcome: outcomeOf(flags),
        payload: rest,
      };
    case "resyncStable":
      return { kind, id: number(0) };
    case "bitmap":
      return { kind, atByte: number(0), payload: rest, last: flags === 1 };
    case "syncGeneration":
    case "currentGeneration":
      return { kind, generation: view.getBigUint64(0) };
    case "report":
      return { kind, report: parse(MirrorReport, rest) };
    case "state":
      return { kind, state: parse(MirrorStateWords, rest) };
    case "stateRequest":
      return { kind, id: number(0), wish: parse(StateWish, rest) };
    case "stateReply":
      return { kind, id: number(0), code: number(1) - CODE_OFFSET };
    case "sizeRequest":
      return { kind, id: number(0), wish: parse(SizeWish, rest) };
    case "sizeReply":
      return { kind, id: number(0), answer: parse(SizeAnswer, rest) };
  }
}

/** Numbers in front of the payload, by kind. */
export const MIRROR_NUMBERS: Readonly<Record<MirrorFrameKind, number>> = {
  data: 2,
  zero: 3,
  flush: 1,
  ack: 3,
  failed: 1,
  dirty: 2,
  readRequest: 3,
  readReply: 1,
  resyncRequest: 3,
  resyncData: 3,
  resyncStable: 1,
  verifyRequest: 3,
  verifyReply: 1,
  bitmap: 1,
  report: 0,
  state: 0,
  syncGeneration: 1,
  currentGeneration: 1,
  stateRequest: 1,
  stateReply: 2,
  sizeRequest: 1,
  sizeReply: 1,
};

const HAS_PAYLOAD: ReadonlySet<MirrorFrameKind> = new Set<MirrorFrameKind>([
  "data",
  "readReply",
  "resyncRequest",
  "resyncData",
  "verifyReply",
  "bitmap",
  "report",
  "state",
  "stateRequest",
  "sizeRequest",
  "sizeReply",
]);

/** Refusals are negative; numbers on the wire are not. */
const CODE_OFFSET = 1_000;

function partsOf(frame: MirrorFrame): Parts {
  switch (frame.kind) {
    case "data":
      return {
        numbers: [frame.sequence, frame.offset],
        payload: frame.payload,
      };
    case "zero":
      return {
        numbers: [frame.sequence, frame.offset, frame.lengthBytes],
        flags: frame.mayPunch ? 1 : 0,
      };
    case "flush":
      return { numbers: [frame.sequence], flags: frame.barrier ? 1 : 0 };
    case "failed":
      return { numbers: [frame.sequence] };
    case "ack":
      return { numbers: [frame.received, frame.written, frame.stable] };
    case "dirty":
      return { numbers: [frame.offset, frame.lengthBytes] };
    case "readRequest":
    case "verifyRequest":
      return { numbers: [frame.id, frame.offset, frame.lengthBytes] };
    case "readReply":
      return { numbers: [frame.id], payload: frame.payload };
    case "verifyReply":
      return { numbers: [frame.id], payload: frame.digest };
    case "resyncRequest":
      return {
        numbers: [frame.id, frame.offset, frame.lengthBytes],
        payload: frame.digest,
      };
    case "resyncData":
      return {
        numbers: [frame.id, frame.offset, frame.lengthBytes],
        payload: frame.payload,
        flags: OUTCOMES.indexOf(frame.outcome),
      };
    case "resyncStable":
      return { numbers: [frame.id] };
    case "bitmap":
      return {
        numbers: [frame.atByte],
        payload: frame.payload,
        flags: frame.last ? 1 : 0,
      };
    case "syncGeneration":
    case "currentGeneration":
      return { numbers: [], payload: bigBytes(frame.generation) };
    case "report":
      return { numbers: [], payload: json(frame.report) };
    case "state":
      return { numbers: [], payload: json(frame.state) };
    case "stateRequest":
      return { numbers: [frame.id], payload: json(frame.wish) };
    case "stateReply":
      return { numbers: [frame.id, frame.code + CODE_OFFSET] };
    case "sizeRequest":
      return { numbers: [frame.id], payload: json(frame.wish) };
    case "sizeReply":
      return { numbers: [frame.id], payload: json(frame.answer) };
  }
}

/** Whether a payload was written in its place. */
function isThere(payload: Uint8Array, bytes: Uint8Array, at: number): boolean {
  return payload.buffer === bytes.buffer &&
    payload.byteOffset === bytes.byteOffset + at;
}

function outcomeOf(flags: number): "data" | "same" | "failed" {
  const outcome = OUTCOMES[flags];
  if (outcome === undefined) throw new MirrorFrameError("unknown outcome");
  return outcome;
}

function bigBytes(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}

/** Encode a small JSON body. */
export function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/**
 * Decode a small JSON body.
 *
 * @throws {MirrorFrameError} When it does not fit the schema.
 */
export function parse<T>(schema: z.ZodType<T>, body: Uint8Array): T {
  if (body.length > JSON_BYTES_MAX) throw new MirrorFrameError("too long");
  try {
    return schema.parse(JSON.parse(new TextDecoder().decode(body)));
  } catch {
    throw new MirrorFrameError("a body that is not what its kind says");
  }
}
