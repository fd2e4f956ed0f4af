/**
 * One record of a log in binary: the change, and where its bytes are.
 *
 * ```text
 * size  field
 *    4  headLength     bytes of all fields that follow, up to the inline bytes
 *    4  inlineLength   at most RECORD_BODY_BYTES_MAX
 *    1  flags          1 tombstone  2 appender  4 sha256  8 type  16 name
 *                      32 master  64 key; others zero
 *    1  body           0 none  1 whole  2 range  3 truncate
 *    1  content        0 none  1 inline  2 elsewhere  3 unknown  4 gone
 *    1  metaCount      at most META_ENTRIES_MAX
 *    8  epoch          8 version        4 origin     8 sizeBytes
 *    4  crc32          8 createdS      2+n id
 *   32  sha256         if flagged
 *  2+n  type, name, master              each if flagged
 *  2+n  name, 2+n value                 metaCount times
 *  2+n  key            if flagged: the Idempotency-Key of the upload
 *  8+8  offset, lengthBytes             body 2
 *  8+8  baseEpoch, baseVersion          body 2 and 3
 *  8+4+32  sizeBytes, crc32, sha256     content 2
 *    …  inline bytes
 * ```
 *
 * A decoder checks what the zod schemas of `change.ts` check: what it returns is
 * valid by them (the test compares both). Integers are big-endian.
 *
 * @module
 */

import type { Change, ChangeBody, FileEntry, FileMeta } from "../change.ts";
import {
  FILE_NAME_BYTES_MAX,
  META_ENTRIES_MAX,
  META_NAME_BYTES_MAX,
  META_VALUE_BYTES_MAX,
  NODE_ID_MAX,
  RECORD_BODY_BYTES_MAX,
} from "../limits.ts";
import { type ByteReader, ByteWriter, CutOffError } from "./byte_cursor.ts";

/** Where the bytes of a record are. */
export type WireContent =
  /** There are none. */
  | { readonly kind: "none" }
  /** In the same frame. */
  | { readonly kind: "inline" }
  /** Staged ahead over a bulk link, or to be asked for. */
  | {
    readonly kind: "elsewhere";
    readonly sizeBytes: number;
    readonly crc32: number;
    readonly sha256: string;
  }
  /** To be asked for: the sender no longer has them apart. */
  | { readonly kind: "unknown" }
  /** The file was deleted and is forgotten: only the number counts. */
  | { readonly kind: "gone" };

/** One record as it travels. */
export interface WireRecord {
  /** The change. */
  readonly change: Change;
  /** Where its bytes are. */
  readonly content: WireContent;
  /** The bytes, when they are inline; empty otherwise. */
  readonly inline: Uint8Array<ArrayBuffer>;
}

/** Numbers on the wire. Never renumber; only append. */
const BODIES = ["none", "whole", "range", "truncate"] as const;
const CONTENTS = ["none", "inline", "elsewhere", "unknown", "gone"] as const;
const FLAG = {
  tombstone: 1,
  appender: 2,
  sha256: 4,
  type: 8,
  name: 16,
  master: 32,
  key: 64,
} as const;
const FLAGS_ALL = 127;
const SHA256_BYTES = 32;
const LENGTHS_BYTES = 8;
const ID_LENGTH_MAX = 160;
const TYPE_LENGTH_MAX = 255;
/** An `Idempotency-Key`, as in `change.ts`. */
const KEY = /^[\x21-\x7e]{1,255}$/;
const NO_BYTES = new Uint8Array(0);

/** Encoding is synchronous, so one buffer serves every record. */
const writer = new ByteWriter(4096);

/**
 * Encode one record; the result may be kept and sent to several peers.
 *
 * @param change The change.
 * @param content Where its bytes are.
 * @param inline The bytes when `content` is inline; they are copied.
 * @throws {RangeError} When a number or text does not fit.
 */
export function encodeRecord(
  change: Change,
  content: WireContent,
  inline: Uint8Array = NO_BYTES,
): Uint8Array<ArrayBuffer> {
  const head = writeHead(change, content, inline.length);
  const bytes = new Uint8Array(head.length + inline.length);
  bytes.set(head);
  bytes.set(inline, head.length);
  return bytes;
}

/**
 * Encode what stands in front of the inline bytes of a record.
 *
 * @param inlineLength So many bytes follow.
 * @throws {RangeError} When a number or text does not fit.
 */
export function encodeRecordHead(
  change: Change,
  content: WireContent,
  inlineLength: number,
): Uint8Array<ArrayBuffer> {
  return writeHead(change, content, inlineLength).slice();
}

/** Valid until the next one. */
function writeHead(
  change: Change,
  content: WireContent,
  inlineLength: number,
): Uint8Array<ArrayBuffer> {
  const { entry, body } = change;
  const meta = Object.entries(entry.meta);
  writer.clear();
  writer.u32(0);
  writer.u32(0);
  writer.u8(flagsOf(entry) | (change.key === undefined ? 0 : FLAG.key));
  writer.u8(BODIES.indexOf(body.kind));
  writer.u8(CONTENTS.indexOf(content.kind));
  writer.u8(meta.length);
  writeEntry(entry, meta);
  if (change.key !== undefined) writer.text(change.key);
  writeBody(body);
  if (content.kind === "elsewhere") {
    writer.u64(content.sizeBytes);
    writer.u32(content.crc32);
    writer.bytes(Uint8Array.fromHex(content.sha256));
  }
  const head = writer.written();
  const view = new DataView(head.buffer, head.byteOffset);
  view.setUint32(0, head.length - LENGTHS_BYTES);
  view.setUint32(4, inlineLength);
  return head;
}

/**
 * Decode the record that comes next.
 *
 * @returns The record; its inline bytes lie in what is read.
 * @throws {CutOffError} When it is damaged or breaks a rule; the message says
 * which.
 */
export function decodeRecord(reader: ByteReader): WireRecord {
  const headLength = reader.u32();
  const inlineLength = reader.u32();
  mustHold(
    inlineLength <= RECORD_BODY_BYTES_MAX,
    "more inline bytes than allowed",
  );
  reader.limit(headLength);
  const flags = reader.u8();
  mustHold(flags <= FLAGS_ALL, "unknown flags");
  const bodyKind = BODIES[reader.u8()];
  const contentKind = CONTENTS[reader.u8()];
  const metaCount = reader.u8();
  const entry = readEntry(reader, flags, metaCount);
  const key = (flags & FLAG.key) === 0 ? undefined : readKey(reader);
  const body = readBody(reader, bodyKind);
  const content = readContent(reader, contentKind);
  mustHold(reader.left === 0, "more than its fields");
  reader.lift();
  return {
    change: key === undefined ? { entry, body } : { entry, body, key },
    content,
    inline: reader.bytes(inlineLength),
  };
}

function flagsOf(entry: FileEntry): number {
  return (entry.state === "tombstone" ? FLAG.tombstone : 0) |
    (entry.appender ? FLAG.appender : 0) |
    (entry.sha256 !== null ? FLAG.sha256 : 0) |
    (entry.type !== null ? FLAG.type : 0) |
    (entry.name !== null ? FLAG.name : 0) |
    (entry.master !== null ? FLAG.master : 0);
}

function writeEntry(entry: FileEntry, meta: readonly [string, string][]): void {
  writer.u64(entry.epoch);
  writer.u64(entry.version);
  writer.u32(entry.origin);
  writer.u64(entry.sizeBytes);
  writer.u32(entry.crc32);
  writer.u64(entry.createdS);
  writer.text(entry.id);
  if (entry.sha256 !== null) writer.bytes(Uint8Array.fromHex(entry.sha256));
  if (entry.type !== null) writer.text(entry.type);
  if (entry.name !== null) writer.text(entry.name);
  if (entry.master !== null) writer.text(entry.master);
  for (const [name, value] of meta) {
    writer.text(name);
    writer.text(value);
  }
}

function readEntry(
  reader: ByteReader,
  flags: number,
  metaCount: number,
): FileEntry {
  const has = (flag: number) => (flags & flag) !== 0;
  const epoch = reader.u64();
  const version = reader.u64();
  mustHold(version >= 1, "version 0");
  const origin = reader.u32();
  mustHold(origin >= 1 && origin <= NODE_ID_MAX, "no such node number");
  const sizeBytes = reader.u64();
  const crc32 = reader.u32();
  const createdS = reader.u64();
  const id = readText(reader, ID_LENGTH_MAX);
  const sha256 = has(FLAG.sha256) ? reader.bytes(SHA256_BYTES).toHex() : null;
  const type = has(FLAG.type) ? readText(reader, TYPE_LENGTH_MAX) : null;
  const name = has(FLAG.name) ? readText(reader, FILE_NAME_BYTES_MAX) : null;
  const master = has(FLAG.master) ? readText(reader, ID_LENGTH_MAX) : null;
  return {
    id,
    state: has(FLAG.tombstone) ? "tombstone" : "present",
    epoch,
    version,
    origin,
    sizeBytes,
    crc32,
    sha256,
    type,
    name,
    meta: readMeta(reader, metaCount),
    createdS,
    appender: has(FLAG.appender),
    master,
  };
}

function readMeta(reader: ByteReader, count: number): FileMeta {
  mustHold(count <= META_ENTRIES_MAX, "more metadata than allowed");
  if (count === 0) return {};
  const meta: [string, string][] = [];
  for (let i = 0; i < count; i++) {
    const name = readText(reader, META_NAME_BYTES_MAX);
    mustHold(name !== "", "metadata without a name");
    meta.push([name, readText(reader, META_VALUE_BYTES_MAX)]);
  }
  // Defines properties, so that no name can reach a prototype.
  return Object.fromEntries(meta);
}

function writeBody(body: ChangeBody): void {
  if (body.kind === "range") {
    writer.u64(body.offset);
    writer.u64(body.lengthBytes);
  }
  if (body.kind === "range" || body.kind === "truncate") {
    writer.u64(body.baseEpoch);
    writer.u64(body.baseVersion);
  }
}

function readBody(
  reader: ByteReader,
  kind: typeof BODIES[number] | undefined,
): ChangeBody {
  switch (kind) {
    case undefined:
      throw new CutOffError("an unknown kind of body");
    case "none":
    case "whole":
      return { kind };
    case "range": {
      const offset = reader.u64();
      const lengthBytes = reader.u64();
      return { kind, offset, lengthBytes, ...readBase(reader) };
    }
    case "truncate":
      return { kind, ...readBase(reader) };
    default:
      return kind satisfies never;
  }
}

function readBase(reader: ByteReader) {
  const baseEpoch = reader.u64();
  const baseVersion = reader.u64();
  mustHold(baseVersion >= 1, "version 0");
  return { baseEpoch, baseVersion };
}

function readContent(
  reader: ByteReader,
  kind: typeof CONTENTS[number] | undefined,
): WireContent {
  if (kind === undefined) throw new CutOffError("an unknown kind of content");
  if (kind !== "elsewhere") return { kind };
  const sizeBytes = reader.u64();
  const crc32 = reader.u32();
  const sha256 = reader.bytes(SHA256_BYTES).toHex();
  return { kind, sizeBytes, crc32, sha256 };
}

function readKey(reader: ByteReader): string {
  const key = reader.text();
  mustHold(KEY.test(key), "a key that is not visible ASCII");
  return key;
}

/** A text with at most so many characters. */
function readText(reader: ByteReader, lengthMax: number): string {
  const text = reader.text();
  mustHold(text.length <= lengthMax, "a text that is too long");
  return text;
}

function mustHold(holds: boolean, otherwise: string): void {
  if (!holds) throw new CutOffError(otherwise);
}
