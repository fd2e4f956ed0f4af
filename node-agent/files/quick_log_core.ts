/**
 * Entries of the quick log (`quick_log.ts`), as bytes.
 *
 * ```text
 *  0   4  CRC-32 of bytes 4 up to the body
 *  4   4  length of the record, in bytes
 *  8   4  length of the body, in bytes
 * 12   4  store path for the body; the highest bit: the body is the name of the
 *         staging file that has the bytes, in UTF-8 (`early_token.ts`)
 * 16   4  node that made the record
 * 20   8  incarnation, as a float64
 * 28   8  sequence, as a float64
 * 36   8  lap: random, chosen anew each time that the file begins at its front
 * 44      the record: a change as JSON, in UTF-8; then the body
 * ```
 *
 * Numbers are little endian. The body is checked by what its record says of it.
 *
 * Behind the newest entry lies what was there before: entries of earlier laps, or
 * a part of one of their bodies, which a client chose. Nobody can guess the lap.
 *
 * @module
 */

import { crc32 } from "node:zlib";

/** Length of what is in front of the record, in bytes. */
export const QUICK_HEAD_BYTES = 44;
const CHECKED_FROM = 4;
const LAP_AT = 36;
/** In the number of the store path: the body is a token. */
const IS_TOKEN = 0x8000_0000;

/** What an entry says. */
export interface QuickEntry {
  /** Node that made the record. */
  readonly origin: number;
  readonly incarnation: number;
  readonly sequence: number;
  readonly pathIndex: number;
  /** The change as JSON. */
  readonly record: string;
  /** Empty when the bytes are in a staging file. */
  readonly body: Uint8Array;
  /** That file, or "". */
  readonly token: string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Write an entry at the front of `into`.
 *
 * @param lap The same for all entries since the front of the file.
 * @returns Its length in bytes; `undefined` when it does not fit.
 */
export function writeQuickEntry(
  into: Uint8Array<ArrayBuffer>,
  entry: QuickEntry,
  lap: bigint,
): number | undefined {
  const { origin, incarnation, sequence, pathIndex, record, token } = entry;
  const isHere = token === "";
  const body = isHere ? entry.body : encoder.encode(token);
  const roomBytes = into.length - QUICK_HEAD_BYTES - body.length;
  if (roomBytes < record.length) return undefined;
  const text = into.subarray(QUICK_HEAD_BYTES, QUICK_HEAD_BYTES + roomBytes);
  const { read, written } = encoder.encodeInto(record, text);
  if (read < record.length) return undefined;
  const bodyAt = QUICK_HEAD_BYTES + written;
  const view = new DataView(into.buffer, into.byteOffset, QUICK_HEAD_BYTES);
  view.setUint32(4, written, true);
  view.setUint32(8, body.length, true);
  view.setUint32(12, isHere ? pathIndex : IS_TOKEN + pathIndex, true);
  view.setUint32(16, origin, true);
  view.setFloat64(20, incarnation, true);
  view.setFloat64(28, sequence, true);
  view.setBigUint64(LAP_AT, lap, true);
  view.setUint32(0, crc32(into.subarray(CHECKED_FROM, bodyAt)), true);
  into.set(body, bodyAt);
  return bodyAt + body.length;
}

/**
 * Entries from the front of `bytes`, up to the first that is not whole, or not of
 * the lap of those before it.
 */
export function* quickEntriesOf(
  bytes: Uint8Array<ArrayBuffer>,
): Iterable<QuickEntry> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let lap: bigint | undefined;
  for (let at = 0; at + QUICK_HEAD_BYTES <= bytes.length;) {
    const recordAt = at + QUICK_HEAD_BYTES;
    const bodyAt = recordAt + view.getUint32(at + 4, true);
    const end = bodyAt + view.getUint32(at + 8, true);
    if (end > bytes.length) return;
    const checked = bytes.subarray(at + CHECKED_FROM, bodyAt);
    if (crc32(checked) !== view.getUint32(at, true)) return;
    lap ??= view.getBigUint64(at + LAP_AT, true);
    if (view.getBigUint64(at + LAP_AT, true) !== lap) return;
    const place = view.getUint32(at + 12, true);
    const body = bytes.subarray(bodyAt, end);
    const isToken = place >= IS_TOKEN;
    yield {
      origin: view.getUint32(at + 16, true),
      incarnation: view.getFloat64(at + 20, true),
      sequence: view.getFloat64(at + 28, true),
      pathIndex: isToken ? place - IS_TOKEN : place,
      record: decoder.decode(bytes.subarray(recordAt, bodyAt)),
      body: isToken ? bytes.subarray(end, end) : body,
      token: isToken ? decoder.decode(body) : "",
    };
    at = end;
  }
}
