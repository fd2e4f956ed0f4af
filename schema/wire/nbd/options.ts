/**
 * Byte layouts of the NBD handshake, fixed newstyle.
 *
 * ```text
 * greeting, server:   "NBDMAGIC"(8) "IHAVEOPT"(8) handshake flags(2)
 * greeting, client:   client flags(4)
 * option, client:     "IHAVEOPT"(8) option(4) length(4) data[length]
 * reply, server:      0x3e889045565a9(8) option(4) reply type(4) length(4) data[length]
 * EXPORT_NAME answer: size(8) transmission flags(2) [124 zero bytes]
 * ```
 *
 * All integers are big-endian. Strings are UTF-8 without a terminator, at most
 * 4096 bytes. Source: the NBD protocol document.
 *
 * Pure: bytes in, values out. Malformed data gives `undefined`, never a throw.
 *
 * @module
 */

/** Numbers of the options that are known here. */
export const NbdOption = {
  EXPORT_NAME: 1,
  ABORT: 2,
  LIST: 3,
  STARTTLS: 5,
  INFO: 6,
  GO: 7,
  STRUCTURED_REPLY: 8,
  LIST_META_CONTEXT: 9,
  SET_META_CONTEXT: 10,
  EXTENDED_HEADERS: 11,
} as const;

/** Types of replies to an option; bit 31 marks an error. */
export const NbdReply = {
  ACK: 1,
  SERVER: 2,
  INFO: 3,
  META_CONTEXT: 4,
  ERR_UNSUP: 0x8000_0001,
  ERR_POLICY: 0x8000_0002,
  ERR_INVALID: 0x8000_0003,
  ERR_UNKNOWN: 0x8000_0006,
  ERR_TOO_BIG: 0x8000_0009,
} as const;

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

/** Length of the client's flags after the greeting, in bytes. */
export const CLIENT_FLAGS_BYTES = 4;
/** Length of an option's header, in bytes. */
export const OPTION_HEADER_BYTES = 16;
/** Longest string of the protocol, in bytes. */
export const NBD_STRING_BYTES_MAX = 4096;

const NBDMAGIC_HIGH = 0x4e42_444d;
const NBDMAGIC_LOW = 0x4147_4943;
const IHAVEOPT_HIGH = 0x4948_4156;
const IHAVEOPT_LOW = 0x454f_5054;
const REPLY_MAGIC_HIGH = 0x0003_e889;
const REPLY_MAGIC_LOW = 0x0455_65a9;
const REPLY_HEADER_BYTES = 20;
/** Zero bytes after an EXPORT_NAME answer unless NO_ZEROES was agreed. */
const PADDING_BYTES = 124;
/** Handshake and client flags: FIXED_NEWSTYLE and NO_ZEROES. */
const HANDSHAKE_FLAGS = 0b11;
const NO_ZEROES = 0b10;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What a server says first. */
export function encodeGreeting(): Uint8Array<ArrayBuffer> {
  const { bytes, view } = room(18);
  view.setUint32(0, NBDMAGIC_HIGH);
  view.setUint32(4, NBDMAGIC_LOW);
  view.setUint32(8, IHAVEOPT_HIGH);
  view.setUint32(12, IHAVEOPT_LOW);
  view.setUint16(16, HANDSHAKE_FLAGS);
  return bytes;
}

/**
 * Read the client's flags.
 *
 * @param bytes At least {@linkcode CLIENT_FLAGS_BYTES}.
 * @returns Whether padding may be left out, or undefined when a bit is set that
 * the server did not offer (it must close then).
 */
export function decodeClientFlags(
  bytes: Uint8Array,
): { readonly noZeroes: boolean } | undefined {
  const flags = viewOf(bytes).getUint32(0);
  if ((flags & ~HANDSHAKE_FLAGS) !== 0) return undefined;
  return { noZeroes: (flags & NO_ZEROES) !== 0 };
}

/** The header in front of an option's data. */
export interface OptionHeader {
  readonly option: number;
  readonly lengthBytes: number;
}

/**
 * Read an option's header.
 *
 * @param bytes At least {@linkcode OPTION_HEADER_BYTES}.
 * @returns The header, or undefined when the magic is wrong.
 */
export function decodeOptionHeader(
  bytes: Uint8Array,
): OptionHeader | undefined {
  const view = viewOf(bytes);
  if (view.getUint32(0) !== IHAVEOPT_HIGH) return undefined;
  if (view.getUint32(4) !== IHAVEOPT_LOW) return undefined;
  return { option: view.getUint32(8), lengthBytes: view.getUint32(12) };
}

/** One reply to an option. */
export function encodeOptionReply(
  option: number,
  type: number,
  data: Uint8Array = new Uint8Array(0),
): Uint8Array<ArrayBuffer> {
  const { bytes, view } = room(REPLY_HEADER_BYTES + data.length);
  view.setUint32(0, REPLY_MAGIC_HIGH);
  view.setUint32(4, REPLY_MAGIC_LOW);
  view.setUint32(8, option);
  view.setUint32(12, type);
  view.setUint32(16, data.length);
  bytes.set(data, REPLY_HEADER_BYTES);
  return bytes;
}

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

/** UTF-8 of a text, cut between two characters to the protocol's longest string. */
export function encodeNbdString(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(NBD_STRING_BYTES_MAX);
  return bytes.slice(0, encoder.encodeInto(text, bytes).written);
}

/** A string of the protocol, or undefined when it is none. */
export function decodeNbdString(bytes: Uint8Array): string | undefined {
  if (bytes.length > NBD_STRING_BYTES_MAX || bytes.includes(0)) {
    return undefined;
  }
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
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
