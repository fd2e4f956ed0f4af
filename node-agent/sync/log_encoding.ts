/**
 * Records of our log as peers are sent them.
 *
 * @module
 */

import type { Change } from "@kedge/schema/change";
import { encodeRecord, type WireContent } from "@kedge/schema/wire/records";
import type { LogRecordWithContent } from "../ports.ts";

/**
 * Encode a record that was read from the change log.
 *
 * @param inlineBytesMax Most bytes that the peer takes within a record.
 */
export function encodeFromLog(
  record: LogRecordWithContent,
  inlineBytesMax: number,
): Uint8Array {
  const { change, content, isHole } = record;
  if (isHole === true) return encodeRecord(change, { kind: "gone" });
  if (content.kind === "inline" && content.bytes.length <= inlineBytesMax) {
    return encodeRecord(change, { kind: "inline" }, content.bytes);
  }
  if (content.kind === "staged") {
    return encodeRecord(change, describe(content.staged));
  }
  return encodeNamed(change);
}

/** Encode a record alone: a peer asks for its bytes. */
export function encodeNamed(change: Change): Uint8Array {
  const { body, entry } = change;
  if (body.kind === "none" || body.kind === "truncate") {
    return encodeRecord(change, { kind: "none" });
  }
  if (body.kind === "range" || entry.sha256 === null) {
    return encodeRecord(change, { kind: "unknown" });
  }
  const { sizeBytes, crc32, sha256 } = entry;
  return encodeRecord(change, { kind: "elsewhere", sizeBytes, crc32, sha256 });
}

/** How a record names bytes that do not travel with it. */
export function describe(
  staged: { sizeBytes: number; crc32: number; sha256: string },
): WireContent {
  const { sizeBytes, crc32, sha256 } = staged;
  return { kind: "elsewhere", sizeBytes, crc32, sha256 };
}
