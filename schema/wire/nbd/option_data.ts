/**
 * What the data of NBD options and of their replies hold.
 *
 * ```text
 * EXPORT_NAME answer   size(8) transmission flags(2) [124 zero bytes]
 * INFO, GO             name length(4) name n(2) n × kind(2)
 * *_META_CONTEXT       name length(4) name n(4) n × (length(4) query)
 * reply SERVER         name length(4) name description
 * reply META_CONTEXT   id(4) name
 * reply INFO EXPORT      0(2) size(8) transmission flags(2)
 * reply INFO NAME        1(2) name
 * reply INFO DESCRIPTION 2(2) text
 * reply INFO BLOCK_SIZE  3(2) minimum(4) preferred(4) maximum(4)
 * ```
 *
 * All integers are big-endian. Source: the NBD protocol document. Pure:
 * malformed data gives `undefined`, never a throw.
 *
 * @module
 */

import { decodeNbdString, encodeNbdString } from "./options.ts";

/** Kinds of information in an INFO reply. */
export const NbdInfo = {
  EXPORT: 0,
  NAME: 1,
  DESCRIPTION: 2,
  BLOCK_SIZE: 3,
} as const;

/** Bits of the 16 transmission flags. */
export const TransmissionFlag = {
  HAS_FLAGS: 1 << 0,
  READ_ONLY: 1 << 1,
  SEND_FLUSH: 1 << 2,
  SEND_FUA: 1 << 3,
  SEND_TRIM: 1 << 5,
  SEND_WRITE_ZEROES: 1 << 6,
  SEND_DF: 1 << 7,
  CAN_MULTI_CONN: 1 << 8,
  SEND_CACHE: 1 << 10,
  SEND_FAST_ZERO: 1 << 11,
} as const;

/** Zero bytes after an EXPORT_NAME answer unless NO_ZEROES was agreed. */
const PADDING_BYTES = 124;

/** What an export is, as both ways of opening it tell. */
export interface ExportFacts {
  readonly sizeBytes: number;
  /** Bits of {@linkcode TransmissionFlag}. */
  readonly flags: number;
}

/** The answer to EXPORT_NAME. */
export function encodeExportNameAnswer(
  facts: ExportFacts,
  noZeroes: boolean,
): Uint8Array<ArrayBuffer> {
  const { bytes, view } = room(10 + (noZeroes ? 0 : PADDING_BYTES));
  view.setBigUint64(0, BigInt(facts.sizeBytes));
  view.setUint16(8, facts.flags);
  return bytes;
}

/** Data of an INFO reply of kind EXPORT. */
export function encodeInfoExport(facts: ExportFacts): Uint8Array<ArrayBuffer> {
  const { bytes, view } = room(12);
  view.setUint16(0, NbdInfo.EXPORT);
  view.setBigUint64(2, BigInt(facts.sizeBytes));
  view.setUint16(10, facts.flags);
  return bytes;
}

/** Data of an INFO reply of kind NAME or DESCRIPTION. */
export function encodeInfoText(
  kind: typeof NbdInfo.NAME | typeof NbdInfo.DESCRIPTION,
  text: string,
): Uint8Array<ArrayBuffer> {
  const content = encodeNbdString(text);
  const { bytes, view } = room(2 + content.length);
  view.setUint16(0, kind);
  bytes.set(content, 2);
  return bytes;
}

/** Block sizes of an export, in bytes. */
export interface BlockSizes {
  readonly minimum: number;
  readonly preferred: number;
  readonly maximum: number;
}

/** Data of an INFO reply of kind BLOCK_SIZE. */
export function encodeInfoBlockSize(
  sizes: BlockSizes,
): Uint8Array<ArrayBuffer> {
  const { bytes, view } = room(14);
  view.setUint16(0, NbdInfo.BLOCK_SIZE);
  view.setUint32(2, sizes.minimum);
  view.setUint32(6, sizes.preferred);
  view.setUint32(10, sizes.maximum);
  return bytes;
}

/** Data of a SERVER reply. */
export function encodeServer(
  name: string,
  description: string,
): Uint8Array<ArrayBuffer> {
  const first = encodeNbdString(name);
  const second = encodeNbdString(description);
  const { bytes, view } = room(4 + first.length + second.length);
  view.setUint32(0, first.length);
  bytes.set(first, 4);
  bytes.set(second, 4 + first.length);
  return bytes;
}

/** Data of a META_CONTEXT reply. */
export function encodeMetaContext(
  id: number,
  name: string,
): Uint8Array<ArrayBuffer> {
  const content = encodeNbdString(name);
  const { bytes, view } = room(4 + content.length);
  view.setUint32(0, id);
  bytes.set(content, 4);
  return bytes;
}

/** Data of INFO and GO. */
export interface InfoRequest {
  readonly name: string;
  /** Kinds of information that the client would like. */
  readonly kinds: ReadonlySet<number>;
}

/** Read the data of INFO and GO: name length(4) name n(2) n × kind(2). */
export function decodeInfoRequest(data: Uint8Array): InfoRequest | undefined {
  const named = takeName(data, 2);
  if (named === undefined) return undefined;
  const { name, rest } = named;
  const view = viewOf(rest);
  const count = view.getUint16(0);
  if (rest.length !== 2 + 2 * count) return undefined;
  const kinds = new Set<number>();
  for (let i = 0; i < count; i++) kinds.add(view.getUint16(2 + 2 * i));
  return { name, kinds };
}

/** Data of LIST_META_CONTEXT and SET_META_CONTEXT. */
export interface MetaContextRequest {
  readonly name: string;
  readonly queries: readonly string[];
}

/** Read the data of both: name length(4) name n(4) n × (length(4) query). */
export function decodeMetaContextRequest(
  data: Uint8Array,
): MetaContextRequest | undefined {
  const named = takeName(data, 4);
  if (named === undefined) return undefined;
  const { name, rest } = named;
  const count = viewOf(rest).getUint32(0);
  // Each query takes four bytes at least: bounds the loop by what has come.
  if (count > (rest.length - 4) / 4) return undefined;
  const queries: string[] = [];
  let at = 4;
  for (let i = 0; i < count; i++) {
    const query = takeString(rest.subarray(at));
    if (query === undefined) return undefined;
    queries.push(query.text);
    at += 4 + query.lengthBytes;
  }
  return at === rest.length ? { name, queries } : undefined;
}

/** The name in front, when at least `restBytesMin` bytes follow it. */
function takeName(
  data: Uint8Array,
  restBytesMin: number,
): { readonly name: string; readonly rest: Uint8Array } | undefined {
  const name = takeString(data);
  if (name === undefined) return undefined;
  const rest = data.subarray(4 + name.lengthBytes);
  return rest.length < restBytesMin ? undefined : { name: name.text, rest };
}

function takeString(
  data: Uint8Array,
): { readonly text: string; readonly lengthBytes: number } | undefined {
  if (data.length < 4) return undefined;
  const lengthBytes = viewOf(data).getUint32(0);
  if (lengthBytes > data.length - 4) return undefined;
  const text = decodeNbdString(data.subarray(4, 4 + lengthBytes));
  return text === undefined ? undefined : { text, lengthBytes };
}

function room(lengthBytes: number) {
  const bytes = new Uint8Array(lengthBytes);
  return { bytes, view: new DataView(bytes.buffer) };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
