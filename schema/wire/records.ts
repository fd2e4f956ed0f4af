/**
 * Bodies of the frames that carry a log: `records`, `ack` and `reject`.
 *
 * ```text
 * records                           ack
 * offset size field                 offset size field
 *      0    8 incarnation                0    8 incarnation
 *      8    8 first sequence             8    8 written: all up to here stored
 *     16    … records, each:            16    8 durable: all up to here flushed
 *           4 textLength
 *           4 inlineLength          reject
 *           … JSON of the record         0    8 epoch that the receiver knows
 *           … inline bytes
 * ```
 *
 * The JSON is `{change, content}`; it is checked with zod when it arrives, and
 * its file ID must be one of the receiver's group. All integers are big-endian.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { z } from "zod";
import { Change } from "../change.ts";
import { parseFileId } from "../file_id.ts";
import type { GroupName } from "../group.ts";
import { INLINE_BODY_BYTES_MAX } from "../limits.ts";

/** Where the bytes of a record are. */
export const WireContent = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("none") }).describe("There are none"),
  z.object({ kind: z.literal("inline") }).describe("In the same frame"),
  z.object({
    kind: z.literal("elsewhere"),
    sizeBytes: z.int().min(0),
    crc32: z.int().min(0).max(0xffff_ffff),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
  }).describe("Staged ahead over a bulk link, or to be asked for"),
  z.object({ kind: z.literal("unknown") })
    .describe("To be asked for, as the sender no longer has them apart"),
]);
/** Where the bytes of a record are. */
export type WireContent = z.infer<typeof WireContent>;

const RecordText = z.object({ change: Change, content: WireContent });

/** One record as it travels. */
export interface WireRecord {
  /** The change. */
  readonly change: Change;
  /** Where its bytes are. */
  readonly content: WireContent;
  /** The bytes, when they are inline; empty otherwise. */
  readonly inline: Uint8Array<ArrayBuffer>;
}

/** The body of a `records` frame. */
export interface RecordsBody {
  /** Which run of the sender's log. */
  readonly incarnation: number;
  /** Sequence of the first record; the others follow without gaps. */
  readonly firstSequence: number;
  /** The records. */
  readonly records: readonly WireRecord[];
}

/** The body of an `ack` frame: cumulative positions in the receiver's log. */
export interface AckBody {
  /** Which run of that log. */
  readonly incarnation: number;
  /** Every record up to here is stored. */
  readonly written: number;
  /** Every record up to here is flushed. */
  readonly durable: number;
}

/** A decoded body, or what is wrong with it, as a sentence for the log. */
export type Decoded<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly fault: string };

const RECORDS_HEAD_BYTES = 16;
const RECORD_HEAD_BYTES = 8;
const ACK_BYTES = 24;
const REJECT_BYTES = 8;
const NO_BYTES = new Uint8Array(0);

/**
 * Encode one record; the result may be kept and sent to several peers.
 *
 * @param change The change.
 * @param content Where its bytes are.
 * @param inline The bytes when `content` is inline; they are copied.
 */
export function encodeRecord(
  change: Change,
  content: WireContent,
  inline: Uint8Array = NO_BYTES,
): Uint8Array<ArrayBuffer> {
  const text = JSON.stringify({ change, content });
  const textLength = Buffer.byteLength(text);
  const bytes = new Uint8Array(RECORD_HEAD_BYTES + textLength + inline.length);
  const buffer = Buffer.from(bytes.buffer);
  buffer.writeUInt32BE(textLength, 0);
  buffer.writeUInt32BE(inline.length, 4);
  buffer.write(text, RECORD_HEAD_BYTES);
  bytes.set(inline, RECORD_HEAD_BYTES + textLength);
  return bytes;
}

/** Encode what stands in front of the records of a frame. */
export function encodeRecordsHead(
  incarnation: number,
  firstSequence: number,
): Uint8Array<ArrayBuffer> {
  return encodeNumbers([incarnation, firstSequence]);
}

/**
 * Decode and check the body of a `records` frame.
 *
 * @param body The body; inline bytes of the result lie in it.
 * @param group Records of other groups are refused.
 */
export function decodeRecords(
  body: Uint8Array<ArrayBuffer>,
  group: GroupName,
): Decoded<RecordsBody> {
  const head = decodeNumbers(body.subarray(0, RECORDS_HEAD_BYTES), 2);
  if (head === undefined) return fault("the head of the records is damaged");
  const [incarnation = 0, firstSequence = 0] = head;
  if (incarnation < 1) return fault("an incarnation must be at least 1");
  if (firstSequence < 1) return fault("a sequence must be at least 1");
  const records: WireRecord[] = [];
  for (let at = RECORDS_HEAD_BYTES; at < body.length;) {
    const decoded = decodeRecord(body, at, group);
    if (!decoded.ok) return decoded;
    records.push(decoded.value.record);
    at = decoded.value.end;
  }
  if (records.length === 0) return fault("a records frame holds no record");
  if (!Number.isSafeInteger(firstSequence + records.length)) {
    return fault("the sequences are too large");
  }
  return { ok: true, value: { incarnation, firstSequence, records } };
}

function decodeRecord(
  body: Uint8Array<ArrayBuffer>,
  at: number,
  group: GroupName,
): Decoded<{ record: WireRecord; end: number }> {
  const buffer = Buffer.from(body.buffer, body.byteOffset, body.length);
  if (at + RECORD_HEAD_BYTES > body.length) return fault("a record is cut off");
  const textEnd = at + RECORD_HEAD_BYTES + buffer.readUInt32BE(at);
  const inlineLength = buffer.readUInt32BE(at + 4);
  const end = textEnd + inlineLength;
  if (end > body.length) return fault("a record is cut off");
  if (inlineLength > INLINE_BODY_BYTES_MAX) {
    return fault(`${inlineLength} inline bytes are more than allowed`);
  }
  const text = parseJson(buffer.toString("utf8", at + 8, textEnd));
  const parsed = RecordText.safeParse(text);
  if (!parsed.success) return fault("a record is not valid");
  const record = { ...parsed.data, inline: body.subarray(textEnd, end) };
  const wrong = wrongRecord(record, group);
  return wrong === undefined
    ? { ok: true, value: { record, end } }
    : fault(wrong);
}

function wrongRecord(
  { change, content, inline }: WireRecord,
  group: GroupName,
): string | undefined {
  const wrong = wrongEntryId(change.entry.id, group);
  if (wrong !== undefined) return wrong;
  if (content.kind !== "inline" && inline.length > 0) {
    return "a record without inline content carries bytes";
  }
  const { body, entry } = change;
  if (
    body.kind === "whole" && content.kind === "inline" &&
    inline.length !== entry.sizeBytes
  ) return `${inline.length} bytes came for a file of ${entry.sizeBytes}`;
  if (
    body.kind === "range" && content.kind === "inline" &&
    inline.length !== body.lengthBytes
  ) return `${inline.length} bytes came for a range of ${body.lengthBytes}`;
  if (
    body.kind === "range" && body.offset + body.lengthBytes > entry.sizeBytes
  ) {
    return "a range ends behind its file";
  }
  return undefined;
}

/**
 * Say what is wrong with a file ID that a peer sent.
 *
 * @param id What came; it never becomes a path before this.
 * @param group The only group that is taken.
 * @returns A sentence, or `undefined` when it may be stored.
 */
export function wrongEntryId(id: string, group: GroupName): string | undefined {
  const parsed = parseFileId(id);
  if (parsed === undefined) return "an entry has a malformed file ID";
  if (parsed.group !== group) return "an entry belongs to another group";
  return undefined;
}

/** Encode the body of an `ack` frame. */
export function encodeAck(ack: AckBody): Uint8Array<ArrayBuffer> {
  return encodeNumbers([ack.incarnation, ack.written, ack.durable]);
}

/** Decode the body of an `ack` frame. */
export function decodeAck(body: Uint8Array): Decoded<AckBody> {
  const numbers = body.length === ACK_BYTES
    ? decodeNumbers(body, 3)
    : undefined;
  if (numbers === undefined) return fault("an ack is damaged");
  const [incarnation = 0, written = 0, durable = 0] = numbers;
  if (durable > written) return fault("an ack is flushed beyond written");
  return { ok: true, value: { incarnation, written, durable } };
}

/** Encode the body of a `reject` frame. */
export function encodeReject(epoch: number): Uint8Array<ArrayBuffer> {
  return encodeNumbers([epoch]);
}

/** Decode the body of a `reject` frame. */
export function decodeReject(body: Uint8Array): Decoded<number> {
  const numbers = body.length === REJECT_BYTES
    ? decodeNumbers(body, 1)
    : undefined;
  if (numbers === undefined) return fault("a reject is damaged");
  return { ok: true, value: numbers[0] ?? 0 };
}

function encodeNumbers(numbers: readonly number[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(numbers.length * 8);
  const view = new DataView(bytes.buffer);
  numbers.forEach((value, index) => {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new RangeError(`Cannot encode ${value}: not a position`);
    }
    view.setBigUint64(index * 8, BigInt(value));
  });
  return bytes;
}

function decodeNumbers(bytes: Uint8Array, count: number): number[] | undefined {
  if (bytes.length !== count * 8) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const numbers: number[] = [];
  for (let index = 0; index < count; index++) {
    const value = Number(view.getBigUint64(index * 8));
    if (!Number.isSafeInteger(value)) return undefined;
    numbers.push(value);
  }
  return numbers;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function fault(sentence: string): { readonly ok: false; fault: string } {
  return { ok: false, fault: sentence };
}
