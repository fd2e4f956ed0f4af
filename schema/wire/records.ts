/**
 * Bodies of the frames that carry a log: `records`, `ack` and `reject`.
 *
 * ```text
 * records                           ack
 * offset size field                 offset size field
 *      0    8 incarnation                0    8 incarnation
 *      8    8 first sequence             8    8 written: all up to here stored
 *     16    … records, see              16    8 durable: all up to here flushed
 *             record_codec.ts       reject
 *                                        0    8 epoch that the receiver knows
 * ```
 *
 * All integers are big-endian. The file ID of a record must be one of the
 * receiver's group.
 *
 * @module
 */

import { parseFileId } from "../file_id.ts";
import type { GroupName } from "../group.ts";
import { ByteReader, ByteWriter, CutOffError } from "./byte_cursor.ts";
import { decodeRecord, type WireRecord } from "./record_codec.ts";

export { encodeRecord, encodeRecordHead } from "./record_codec.ts";
export type { WireContent, WireRecord } from "./record_codec.ts";

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

const ACK_BYTES = 24;
const REJECT_BYTES = 8;

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
  try {
    return { ok: true, value: readRecords(new ByteReader(body), group) };
  } catch (error) {
    if (!(error instanceof CutOffError)) throw error;
    return fault(`the records are damaged: ${error.message}`);
  }
}

function readRecords(reader: ByteReader, group: GroupName): RecordsBody {
  const incarnation = reader.u64();
  const firstSequence = reader.u64();
  if (incarnation < 1) throw new CutOffError("incarnation 0");
  if (firstSequence < 1) throw new CutOffError("sequence 0");
  const records: WireRecord[] = [];
  do {
    const record = decodeRecord(reader);
    const wrong = wrongRecord(record, group);
    if (wrong !== undefined) throw new CutOffError(wrong);
    records.push(record);
  } while (reader.left > 0);
  if (!Number.isSafeInteger(firstSequence + records.length)) {
    throw new CutOffError("the sequences are too large");
  }
  return { incarnation, firstSequence, records };
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
export function decodeAck(body: Uint8Array<ArrayBuffer>): Decoded<AckBody> {
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
export function decodeReject(body: Uint8Array<ArrayBuffer>): Decoded<number> {
  const numbers = body.length === REJECT_BYTES
    ? decodeNumbers(body, 1)
    : undefined;
  if (numbers === undefined) return fault("a reject is damaged");
  return { ok: true, value: numbers[0] ?? 0 };
}

function encodeNumbers(numbers: readonly number[]): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter();
  for (const value of numbers) writer.u64(value);
  return writer.written().slice();
}

function decodeNumbers(
  bytes: Uint8Array<ArrayBuffer>,
  count: number,
): number[] | undefined {
  try {
    const reader = new ByteReader(bytes);
    return Array.from({ length: count }, () => reader.u64());
  } catch {
    return undefined;
  }
}

function fault(sentence: string): { readonly ok: false; fault: string } {
  return { ok: false, fault: sentence };
}
