/**
 * Byte layouts of the NBD handshake, fixed newstyle.
 *
 * ```text
 * greeting, server:   "NBDMAGIC"(8) "IHAVEOPT"(8) handshake flags(2)
 * greeting, client:   client flags(4)
 * option, client:     "IHAVEOPT"(8) option(4) length(4) data[length]
 * reply, server:      0x3e889045565a9(8) option(4) reply type(4) length(4) data[length]
 * ```
 *
 * All integers are big-endian. Strings are UTF-8 without a terminator, at most
 * 4096 bytes. Source: the NBD protocol document.
 *
 * What the data of options and replies hold is in `option_data.ts`. Pure: bytes in,
 * values out; malformed bytes give `undefined`, never a throw.
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

function room(lengthBytes: number) {
  const bytes = new Uint8Array(lengthBytes);
  return { bytes, view: new DataView(bytes.buffer) };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
